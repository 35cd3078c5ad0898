@extends('layout')

@section('content')
    <p>visits: {{ $visits }}</p>
    <p>yours: {{ $yours }}</p>
    <p>served by {{ $host }}</p>
    @if ($user)
        <p>Hello, {{ $user->name }}.</p>
        <form method="post" action="/logout">@csrf <button>Log out</button></form>
    @else
        <p><a href="/login">Log in</a></p>
    @endif
@endsection
