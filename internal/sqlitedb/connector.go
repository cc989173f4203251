package sqlitedb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A connector opens connections and makes sure that they are what they should
// be, whichever driver makes them.
type connector struct {
	file    *File
	pragmas []pragma
	begin   string
}

func (c *connector) Driver() driver.Driver { return c.file.driver }

func (c *connector) Connect(context.Context) (driver.Conn, error) {
	inner, err := c.file.driver.Open(c.file.name())
	if err != nil {
		return nil, err
	}
	k := &conn{Conn: inner, begin: c.begin}
	for _, p := range c.pragmas {
		if err := k.apply(p); err != nil {
			_ = inner.Close()
			return nil, err
		}
	}
	return k, nil
}

// apply sets one pragma and reads it back.
func (k *conn) apply(p pragma) error {
	if p.set != "" {
		if err := k.exec("PRAGMA " + p.name + " = " + p.set); err != nil {
			return fmt.Errorf("set PRAGMA %s: %w", p.name, err)
		}
	}
	if p.want == "" {
		return nil
	}
	got, err := k.value("PRAGMA " + p.name)
	if err != nil {
		return fmt.Errorf("read PRAGMA %s: %w", p.name, err)
	}
	if !strings.EqualFold(got, p.want) {
		if p.name == "journal_mode" && p.set == "" {
			return fmt.Errorf("the database is in journal mode %q: run PRAGMA journal_mode=WAL on it once", got)
		}
		return fmt.Errorf("PRAGMA %s is %q and must be %q", p.name, got, p.want)
	}
	return nil
}

// A conn is a driver's connection whose transactions begin as its handle says
// and whose statements are never interrupted.
type conn struct {
	driver.Conn
	begin string
}

func (k *conn) exec(query string) error {
	s, err := k.Prepare(query)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	_, err = s.(driver.StmtExecContext).ExecContext(context.Background(), nil)
	return err
}

func (k *conn) value(query string) (string, error) {
	s, err := k.Prepare(query)
	if err != nil {
		return "", err
	}
	defer func() { _ = s.Close() }()
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	dest := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(dest); errors.Is(err, io.EOF) || len(dest) == 0 {
		return "", nil
	} else if err != nil {
		return "", err
	}
	if b, ok := dest[0].([]byte); ok {
		return string(b), nil
	}
	return fmt.Sprint(dest[0]), nil
}

func (k *conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	if err := k.exec(k.begin); err != nil {
		return nil, err
	}
	return tx{k}, nil
}

func (k *conn) Begin() (driver.Tx, error) {
	return k.BeginTx(context.Background(), driver.TxOptions{})
}

func (k *conn) Prepare(query string) (driver.Stmt, error) {
	return k.PrepareContext(context.Background(), query)
}

func (k *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	p, ok := k.Conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, errors.New("the SQLite driver cannot prepare with a context")
	}
	s, err := p.PrepareContext(uncancelled(ctx), query)
	if err != nil {
		return nil, err
	}
	exec, canExec := s.(driver.StmtExecContext)
	queryer, canQuery := s.(driver.StmtQueryContext)
	if !canExec || !canQuery {
		_ = s.Close()
		return nil, errors.New("the SQLite driver's statements take no context")
	}
	return &stmt{Stmt: s, exec: exec, query: queryer}, nil
}

func (k *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	e, ok := k.Conn.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	return e.ExecContext(uncancelled(ctx), query, args)
}

func (k *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	q, ok := k.Conn.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	return q.QueryContext(uncancelled(ctx), query, args)
}

func (k *conn) CheckNamedValue(v *driver.NamedValue) error {
	if c, ok := k.Conn.(driver.NamedValueChecker); ok {
		return c.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (k *conn) IsValid() bool {
	v, ok := k.Conn.(driver.Validator)
	return !ok || v.IsValid()
}

// A stmt is a driver's statement that is never interrupted.
type stmt struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.exec.ExecContext(uncancelled(ctx), args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.query.QueryContext(uncancelled(ctx), args)
}

// uncancelled is ctx, or one like it that is never done.
func uncancelled(ctx context.Context) context.Context {
	if ctx.Done() == nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

type tx struct{ conn *conn }

func (t tx) Commit() error   { return t.conn.exec("COMMIT") }
func (t tx) Rollback() error { return t.conn.exec("ROLLBACK") }
