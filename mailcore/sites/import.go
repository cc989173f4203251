package sites

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"

	"github.com/panelmail/panelmail/transport"
)

// An Import is rows of several tables that are stored together or not at all. A
// [MapReader] makes one of each of Postfix's tables.
type Import struct {
	Routes       []Route
	SenderRoutes []SenderRoute
	Sources      []Source
	SmartHosts   []SmartHost
	Credentials  []Credential

	// Warnings tells what was odd where the rows were read, and no error.
	Warnings []string

	// DryRun has everything checked, and nothing stored.
	DryRun bool

	// Progress, if not nil, is told now and then how many rows are done, in the
	// transaction: it must not wait.
	Progress func(rows int)
}

// Len is the number of rows.
func (i Import) Len() int {
	return len(i.Routes) + len(i.SenderRoutes) + len(i.Sources) + len(i.SmartHosts) + len(i.Credentials)
}

// progressEvery is after how many rows Progress is told.
const progressEvery = 1000

var errDryRun = errors.New("dry run")

// Import stores the rows, each in place of one with the same key. On any error
// nothing is stored: one that is joined of what is wrong with up to a hundred rows.
// A row that names a transport which is not defined is [ErrInvalid], as is a
// transport map of more than [transport.MaxRows] rows.
func (s *Sites) Import(ctx context.Context, rows Import) error {
	err := s.change(ctx, func(tx *sql.Tx) error {
		w := &importer{tx: tx, progress: rows.Progress}
		defer w.close()
		var err error
		if w.transports, err = s.definitions(tx); err != nil {
			return err
		}
		if err := w.store(ctx, rows); err != nil {
			return err
		}
		if rows.DryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}

// An importer stores rows in one transaction.
type importer struct {
	tx         *sql.Tx
	transports transport.Definitions
	progress   func(int)
	done       int
	route      *sql.Stmt // that stores a route, once there is one to store
}

func (w *importer) close() {
	if w.route != nil {
		w.route.Close()
	}
}

func (w *importer) store(ctx context.Context, rows Import) error {
	if err := each(ctx, w, rows.Routes, w.putRoute); err != nil {
		return err
	}
	if err := each(ctx, w, rows.SenderRoutes, w.putSenderRoute); err != nil {
		return err
	}
	if err := each(ctx, w, rows.Sources, func(src Source) error { return putSource(w.tx, src, true) }); err != nil {
		return err
	}
	if err := each(ctx, w, rows.SmartHosts, func(h SmartHost) error { return putSmartHost(w.tx, h) }); err != nil {
		return err
	}
	if err := each(ctx, w, rows.Credentials, func(c Credential) error { return putCredential(w.tx, c) }); err != nil {
		return err
	}
	if len(rows.Routes) == 0 {
		return nil
	}
	return w.changeRoutes()
}

// each stores rows of one kind, and gathers what is wrong with them.
func each[T any](ctx context.Context, w *importer, rows []T, put func(T) error) error {
	var problems []error
	for _, row := range rows {
		err := put(row)
		switch {
		case err == nil:
		case errors.Is(err, ErrInvalid) || errors.Is(err, ErrNotFound):
			if problems = append(problems, err); len(problems) == maxProblems {
				return errors.Join(problems...)
			}
		default:
			return err
		}
		if w.done++; w.done%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if w.progress != nil {
				w.progress(w.done)
			}
		}
	}
	return errors.Join(problems...)
}

// known is [ErrInvalid] for a transport that is not defined, or cannot deliver to the
// next hop; "" is none.
func (w *importer) known(kind, key string, r transport.Route) error {
	if r.Transport == "" {
		return nil
	}
	d, ok := w.transports[r.Transport]
	if !ok {
		return invalid(kind, key, "unknown transport %q", r.Transport)
	}
	if err := d.CheckNexthop(r.Nexthop); err != nil {
		return invalid(kind, key, "%v", err)
	}
	return nil
}

// KnowTransports says which transports a program has beside the built-in ones and
// those kept here, so that rows may name them. It replaces what was said before.
func (s *Sites) KnowTransports(defs transport.Definitions) { s.program.Store(&defs) }

// Transports are the transports that rows may name.
func (s *Sites) Transports(ctx context.Context) (defs transport.Definitions, err error) {
	err = s.db.View(ctx, func(tx *sql.Tx) error {
		defs, err = s.definitions(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sites: %w", err)
	}
	return defs, nil
}

// definitions are the transports that there are: built in, of the program, kept here.
func (s *Sites) definitions(tx *sql.Tx) (transport.Definitions, error) {
	defs := s.brought()
	kept, err := readTransports(tx)
	maps.Copy(defs, kept)
	return defs, err
}

// brought are the transports that are not kept here.
func (s *Sites) brought() transport.Definitions {
	defs := transport.Builtin()
	if program := s.program.Load(); program != nil {
		maps.Copy(defs, *program)
	}
	return defs
}
