@extends('layout')

@section('content')
    <form method="post" action="/login">
        @csrf
        @error('name')<p class="error">{{ $message }}</p>@enderror
        <label>Name <input name="name" value="{{ old('name') }}" required autofocus></label>
        <label>Password <input name="password" type="password" required></label>
        <button>Log in</button>
    </form>
@endsection
