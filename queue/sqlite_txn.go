package queue

import (
	"context"
	"database/sql"
	"errors"
)

// A txn runs statements in an open transaction: ours on prepared statements, or
// a caller's.
type txn interface {
	// exec returns the number of rows changed and, after an INSERT, the row's
	// id.
	exec(query string, args ...any) (result, error)
	query(query string, args ...any) (*sql.Rows, error)
	row(query string, args ...any) *sql.Row

	// lanes remembers what this transaction has already filed.
	lanes() map[string]filed

	// rules is where it keeps the rules that it has read; nil: none yet.
	rules() **ruleSet
}

type result struct {
	changed int64
	id      int64
}

// filed is a lane that this transaction knows to be due no later than due; if it
// was idle, no earlier either.
type filed struct {
	lane int64
	due  int64
	idle bool // as idleLane says
}

// A refusedError is about one op alone: its transaction is sound.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// unknown reports whether a step that ended with err may have happened.
func unknown(err error) bool {
	var refusal *refusedError
	return err != nil && !errors.As(err, &refusal) && !errors.Is(err, ErrLocked) && !errors.Is(err, ErrClosed)
}

// prepared is the writer's connection with its statements, each prepared once.
type prepared struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	known      map[string]filed
	ruled      *ruleSet
}

func (p *prepared) fresh() { p.known, p.ruled = nil, nil }

func (p *prepared) rules() **ruleSet { return &p.ruled }

func (p *prepared) lanes() map[string]filed {
	if p.known == nil {
		p.known = map[string]filed{}
	}
	return p.known
}

func (p *prepared) statement(query string) (*sql.Stmt, error) {
	if s, ok := p.statements[query]; ok {
		return s, nil
	}
	s, err := p.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	p.statements[query] = s
	return s, nil
}

func (p *prepared) exec(query string, args ...any) (result, error) {
	s, err := p.statement(query)
	if err != nil {
		return result{}, err
	}
	r, err := s.Exec(args...)
	if err != nil {
		return result{}, err
	}
	return resultOf(r)
}

func (p *prepared) query(query string, args ...any) (*sql.Rows, error) {
	s, err := p.statement(query)
	if err != nil {
		return nil, err
	}
	return s.Query(args...)
}

func (p *prepared) row(query string, args ...any) *sql.Row {
	s, err := p.statement(query)
	if err != nil {
		return p.conn.QueryRowContext(context.Background(), query, args...) // fails alike, at Scan
	}
	return s.QueryRow(args...)
}

// column reads the only column of a query's rows.
func column[T any](rows *sql.Rows, err error) (all []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// discard runs a query for its effect.
func (p *prepared) discard(query string) error {
	rows, err := p.conn.QueryContext(context.Background(), query)
	if err != nil {
		return err
	}
	for rows.Next() {
		continue // the rows say nothing that we act on
	}
	return errors.Join(rows.Err(), rows.Close())
}

// close closes the statements before the connection: otherwise the log and the
// shared memory file stay behind.
func (p *prepared) close() {
	for _, s := range p.statements {
		_ = s.Close()
	}
	_ = p.conn.Close()
}

// callerTx is a transaction of somebody else's.
type callerTx struct {
	tx    *sql.Tx
	known map[string]filed
	ruled *ruleSet
}

func (c *callerTx) rules() **ruleSet { return &c.ruled }

func (c *callerTx) lanes() map[string]filed { return c.known }

func (c *callerTx) exec(query string, args ...any) (result, error) {
	r, err := c.tx.Exec(query, args...)
	if err != nil {
		return result{}, err
	}
	return resultOf(r)
}

func (c *callerTx) query(query string, args ...any) (*sql.Rows, error) {
	return c.tx.Query(query, args...)
}

func (c *callerTx) row(query string, args ...any) *sql.Row { return c.tx.QueryRow(query, args...) }

func resultOf(r sql.Result) (result, error) {
	changed, err := r.RowsAffected()
	if err != nil {
		return result{}, err
	}
	id, err := r.LastInsertId()
	return result{changed, id}, err
}
