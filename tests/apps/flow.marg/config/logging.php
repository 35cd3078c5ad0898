<?php

use Monolog\Handler\NullHandler;
use Monolog\Handler\StreamHandler;

$level = env('LOG_LEVEL', 'info');

return [
    'default' => env('LOG_CHANNEL', 'single'),
    'deprecations' => ['channel' => env('LOG_DEPRECATIONS_CHANNEL', 'null'), 'trace' => false],
    'channels' => [
        'single' => ['driver' => 'single', 'path' => storage_path('logs/laravel.log'), 'level' => $level],
        'stderr' => [
            'driver' => 'monolog',
            'handler' => StreamHandler::class,
            'with' => ['stream' => 'php://stderr'],
            'level' => $level,
        ],
        'null' => ['driver' => 'monolog', 'handler' => NullHandler::class],
    ],
];
