<?php

namespace App\Support;

use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Log;
use Illuminate\Support\Facades\Queue;
use Illuminate\Support\Facades\Redis;
use Throwable;

// What the app cannot work without.
class Dependencies
{
    /**
     * @param  string[]  $names
     * @return array<string, string> each name with 'ok' or 'failed'
     */
    public static function check(array $names): array
    {
        $results = [];
        foreach ($names as $name) {
            try {
                self::ask($name);
                $results[$name] = 'ok';
            } catch (Throwable $e) {
                // One line each: a probe comes every few seconds.
                Log::warning("{$name} does not answer: {$e->getMessage()}");
                $results[$name] = 'failed';
            }
        }

        return $results;
    }

    public static function waitingJobs(): int
    {
        return Queue::size();
    }

    private static function ask(string $name): void
    {
        match ($name) {
            'database' => DB::select('select 1'),
            'rbac' => DB::connection('rbac')->select('select 1'),
            'redis' => Redis::connection()->ping(),
            'cache' => Cache::get('health'),
            'queue' => Queue::size(),
        };
    }
}
