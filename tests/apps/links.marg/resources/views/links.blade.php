@extends('layout')

@section('content')
    <ul>
        @forelse ($links as $link)
            <li><a href="{{ $link->url }}">{{ $link->title }}</a> <span class="by">by {{ $link->added_by }}</span></li>
        @empty
            <li>No links yet.</li>
        @endforelse
    </ul>
    @if ($user)
        <form method="post" action="/links">
            @csrf
            @foreach ($errors->all() as $message)<p class="error">{{ $message }}</p>@endforeach
            <label>Title <input name="title" value="{{ old('title') }}" required></label>
            <label>Address <input name="url" type="url" value="{{ old('url') }}" required></label>
            <button>Add</button>
        </form>
    @else
        <p><a href="/login">Log in</a> to add a link.</p>
    @endif
@endsection
