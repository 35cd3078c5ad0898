<?php

namespace App\Exceptions;

use Illuminate\Foundation\Exceptions\Handler as ExceptionHandler;
use Throwable;

class Handler extends ExceptionHandler
{
    protected $dontFlash = ['current_password', 'password', 'password_confirmation'];

    /** Without a session there is no page to go back to with an error. */
    protected function shouldReturnJson($request, Throwable $e): bool
    {
        $middleware = $request->route()?->gatherMiddleware() ?? [];

        return in_array('stateless', $middleware, true) || parent::shouldReturnJson($request, $e);
    }
}
