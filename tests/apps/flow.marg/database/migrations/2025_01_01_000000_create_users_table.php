<?php

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Hash;
use Illuminate\Support\Facades\Schema;

// The users belong to every app, so they live in the shared database, and
// this app alone migrates it: the others only read.
return new class extends Migration
{
    protected $connection = 'rbac';

    public function up(): void
    {
        Schema::connection('rbac')->create('users', function (Blueprint $table) {
            $table->id();
            $table->string('name')->unique();
            $table->string('password');
            $table->rememberToken();
            $table->timestamps();
        });

        DB::connection('rbac')->table('users')->insert([
            'name' => 'demo',
            'password' => Hash::make('demo'),
            'created_at' => now(),
            'updated_at' => now(),
        ]);
    }

    public function down(): void
    {
        Schema::connection('rbac')->dropIfExists('users');
    }
};
