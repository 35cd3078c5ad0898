<?php

namespace App\Jobs;

use App\Models\Task;
use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;
use RuntimeException;

// Leaves a row that says which machine did the work.
class RecordTask implements ShouldQueue
{
    use Dispatchable, InteractsWithQueue, Queueable;

    public function __construct(public string $name)
    {
    }

    public function handle(): void
    {
        if ($this->name === 'fail') {
            throw new RuntimeException('asked to fail');
        }

        Task::create([
            'name' => $this->name,
            'worker' => gethostname(),
            'attempts' => $this->attempts(),
        ]);
    }
}
