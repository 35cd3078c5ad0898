<?php

namespace App\Support;

use Illuminate\Support\Facades\Cache;
use Illuminate\Support\Facades\Redis;

// Remembers who ran the scheduler and when. The apps share one Redis and
// one prefix, hence the app's own id in every key.
class SchedulerRuns
{
    private const KEPT = 200;

    public static function record(): void
    {
        $run = ['host' => gethostname(), 'at' => now()->toIso8601String()];

        Redis::rpush(self::key('runs'), json_encode($run));
        Redis::ltrim(self::key('runs'), -self::KEPT, -1);
        Redis::incr(self::key('count'));
        Cache::forever(self::key('last'), $run);
    }

    /** @return array{count: int, last: ?array, runs: array} oldest run first */
    public static function report(): array
    {
        return [
            'count' => (int) Redis::get(self::key('count')),
            'last' => Cache::get(self::key('last')),
            'runs' => array_map(
                fn (string $run) => json_decode($run, true),
                Redis::lrange(self::key('runs'), 0, -1),
            ),
        ];
    }

    private static function key(string $name): string
    {
        return 'scheduler:'.$name.':'.config('app.id');
    }
}
