module planted.test

go 1.26

require github.com/mattn/go-sqlite3 v1.14.52

replace github.com/mattn/go-sqlite3 => ./driver
