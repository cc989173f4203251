package main

import _ "planted.test/internal/dsn"
