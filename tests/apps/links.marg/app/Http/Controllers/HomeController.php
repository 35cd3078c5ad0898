<?php

namespace App\Http\Controllers;

use Illuminate\Contracts\View\View;
use Illuminate\Http\Request;
use Illuminate\Routing\Controller;
use Illuminate\Support\Facades\Redis;

class HomeController extends Controller
{
    public function __invoke(Request $request): View
    {
        return view('home', [
            'visits' => Redis::incr('visits:'.config('app.id')),
            'yours' => $request->session()->increment('visits'),
            'user' => $request->user(),
            'host' => gethostname(),
        ]);
    }
}
