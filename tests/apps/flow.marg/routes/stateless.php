<?php

use App\Http\Controllers\DrillController;
use App\Http\Controllers\ProbeController;
use App\Http\Controllers\TaskController;
use Illuminate\Support\Facades\Route;

Route::get('/livez', [ProbeController::class, 'live']);
Route::get('/readyz', [ProbeController::class, 'ready']);
Route::get('/health', [ProbeController::class, 'health']);
Route::get('/version', [ProbeController::class, 'version']);
Route::get('/scheduler', [ProbeController::class, 'scheduler']);

// Without a session there is no CSRF token to ask for, nor a login to abuse.
Route::match(['get', 'post'], '/dispatch', [TaskController::class, 'dispatch']);
Route::get('/tasks', [TaskController::class, 'index']);

Route::get('/slow', [DrillController::class, 'slow']);
Route::get('/echo-config', [DrillController::class, 'echoConfig']);
