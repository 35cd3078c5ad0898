<?php

namespace App\Models;

use Illuminate\Foundation\Auth\User as Authenticatable;

// One table of users for all apps: whoever logs in at one is the same
// user, with the same id, at every other.
class User extends Authenticatable
{
    protected $connection = 'rbac';

    protected $hidden = ['password', 'remember_token'];
}
