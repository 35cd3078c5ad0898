<?php

namespace App\Http\Controllers;

use App\Jobs\RecordTask;
use App\Models\Task;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Routing\Controller;
use Illuminate\Support\Facades\Queue;

class TaskController extends Controller
{
    public function dispatch(Request $request): JsonResponse
    {
        $input = $request->validate(['name' => ['nullable', 'string', 'max:255']]);
        RecordTask::dispatch($input['name'] ?? 'task');

        return response()->json(['queued' => true, 'waiting' => Queue::size()], 202);
    }

    public function index(Request $request): JsonResponse
    {
        $input = $request->validate(['name' => ['nullable', 'string', 'max:255']]);
        $tasks = Task::query()->when(
            $input['name'] ?? null,
            fn ($query, $name) => $query->where('name', $name),
        );

        return response()->json([
            'count' => $tasks->count(),
            'tasks' => $tasks->latest('id')->limit(100)->get(),
        ]);
    }
}
