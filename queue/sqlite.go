package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/panelmail/panelmail/internal/sqlitedb"
)

// engine is the store on SQLite: a writer, and a handle for reading.
type engine struct {
	file    *sqlitedb.File
	writer  *writer
	read    *sql.DB
	owner   int64 // names this process in uploads
	queries map[string]*sql.Stmt
	version int64 // the writer connection's data_version
	cache   ruleCache

	leftovers leftovers
}

var _ store = (*engine)(nil)

// idleReaders is how many connections that read are kept open.
const idleReaders = 4

// The statements that run once or more for each message, prepared on the
// reading handle.
var hotQueries = []string{selectContent, selectClock, selectDue, selectLatest, selectFresh}

func openEngine(ctx context.Context, file *sqlitedb.File, o Options, emit func([]Event)) (*engine, error) {
	if err := install(ctx, file); err != nil {
		return nil, err
	}
	e := &engine{file: file, owner: rand.Int64N(1<<62) + 1, queries: map[string]*sql.Stmt{},
		leftovers: leftovers{some: make(chan struct{}, 1)}}
	var err error
	if e.writer, err = newWriter(ctx, file, o, emit, e.renewReaders); err != nil {
		return nil, err
	}
	if e.read, err = file.Reader(ctx); err != nil {
		e.writer.close()
		return nil, err
	}
	e.read.SetMaxIdleConns(idleReaders)
	for _, q := range hotQueries {
		s, err := e.read.PrepareContext(ctx, q)
		if err != nil {
			_ = e.close()
			return nil, err
		}
		e.queries[q] = s
	}
	return e, nil
}

// install makes the tables on a handle of its own. Another process may be doing
// the same: the lock is tried for a while.
func install(ctx context.Context, file *sqlitedb.File) error {
	db, err := file.Writer(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for range 10_000 {
		if err = migrate(ctx, db); !sqlitedb.IsBusy(err) || ctx.Err() != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if sqlitedb.IsBusy(err) {
		err = ErrLocked
	}
	if err != nil {
		return fmt.Errorf("prepare the tables in %s: %w", file.Path(), err)
	}
	return nil
}

// renewReaders closes the connections that read and are idle, so that others are
// opened: after an error of the disk no connection is trusted. The writer calls
// it with its new connection open, which keeps the log in place.
func (e *engine) renewReaders() {
	e.version = -1 // another connection counts anew
	e.read.SetMaxIdleConns(-1)
	e.read.SetMaxIdleConns(idleReaders)
}

func (e *engine) close() error {
	e.writer.close()
	for _, s := range e.queries {
		_ = s.Close()
	}
	return e.read.Close()
}

func (e *engine) update(ctx context.Context, f func(*sql.Tx) error) error {
	return e.writer.do(ctx, &op{class: classLend, lend: f, borrowed: make(chan *sql.Tx, 1), returned: make(chan error, 1)})
}

func (e *engine) view(ctx context.Context, f func(*sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tx, err := e.read.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return f(tx)
}

// foreign compares the connection's data_version, which changes when another
// connection commits (https://www.sqlite.org/pragma.html#pragma_data_version).
func (e *engine) foreign(ctx context.Context) (bool, error) {
	var seen bool
	err := e.writer.do(ctx, &op{class: classPeek, peek: func(t txn) error {
		var v int64
		if err := t.row(`PRAGMA data_version`).Scan(&v); err != nil {
			return err
		}
		seen = e.version != v
		e.version = v
		return nil
	}})
	return seen, err
}

// find returns the row number of a message.
func (e *engine) find(ctx context.Context, id string) (message int64, err error) {
	err = e.read.QueryRowContext(ctx, `SELECT id FROM panelmail_message WHERE queue_id = ? AND id`+noLeftover, id).Scan(&message)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return message, err
}
