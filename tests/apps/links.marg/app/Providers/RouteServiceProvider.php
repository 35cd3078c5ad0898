<?php

namespace App\Providers;

use Illuminate\Foundation\Support\Providers\RouteServiceProvider as ServiceProvider;
use Illuminate\Support\Facades\Route;

class RouteServiceProvider extends ServiceProvider
{
    public function boot(): void
    {
        $this->routes(function () {
            Route::middleware('stateless')->group(base_path('routes/stateless.php'));
            Route::middleware('web')->group(base_path('routes/web.php'));
        });
    }
}
