<?php

namespace App\Console\Commands;

use App\Support\SchedulerRuns;
use Illuminate\Console\Command;

class Heartbeat extends Command
{
    protected $signature = 'app:heartbeat';

    protected $description = 'Record that the scheduler ran, where and when';

    public function handle(): int
    {
        SchedulerRuns::record();

        return self::SUCCESS;
    }
}
