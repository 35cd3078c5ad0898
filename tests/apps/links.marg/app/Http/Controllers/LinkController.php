<?php

namespace App\Http\Controllers;

use App\Models\Link;
use Illuminate\Contracts\View\View;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\RedirectResponse;
use Illuminate\Http\Request;
use Illuminate\Routing\Controller;

class LinkController extends Controller
{
    private const SHOWN = 100;

    public function index(Request $request): View|JsonResponse
    {
        $links = Link::query()->latest('id')->limit(self::SHOWN)->get();

        return $request->expectsJson()
            ? response()->json(['links' => $links])
            : view('links', ['links' => $links, 'user' => $request->user()]);
    }

    public function add(Request $request): RedirectResponse
    {
        $link = $request->validate([
            'title' => ['required', 'string', 'max:255'],
            'url' => ['required', 'url:http,https', 'max:2048'],
        ]);

        Link::create($link + ['added_by' => $request->user()->name]);

        return redirect('/links');
    }
}
