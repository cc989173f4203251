package sites

import (
	"context"
	"database/sql"
	"time"
)

// A Mail is a [DB] that keeps the mail of sites beside their settings, as
// *queue.Queue does. Whatever is done to a site is done to its mail too: the
// methods with a transaction run in the one that changes the settings, the others
// after it has committed, in transactions of their own.
//
// They do what the methods of *queue.Queue say.
type Mail interface {
	DB

	OpenSite(tx *sql.Tx, site string) error
	SuspendSite(tx *sql.Tx, site string) error
	ResumeSite(tx *sql.Tx, site string) error
	SyncSite(ctx context.Context, site string) error
	RenameSite(tx *sql.Tx, site, to string) error

	CloseSite(tx *sql.Tx, site string) error
	EmptySite(ctx context.Context, site string, domains []string) error
	RemoveSite(tx *sql.Tx, site string, domains []string) (rows map[string]int, oldest, newest time.Time, err error)
	CountSite(ctx context.Context, site string, domains []string) (rows map[string]int, oldest, newest time.Time, err error)
	Scrub(ctx context.Context) error
}

// mailOf is the mail of a DB, which may have none.
func mailOf(db DB) Mail {
	if m, ok := db.(Mail); ok {
		return m
	}
	return noMail{db}
}

// noMail is settings alone.
type noMail struct{ DB }

func (noMail) OpenSite(*sql.Tx, string) error                    { return nil }
func (noMail) SuspendSite(*sql.Tx, string) error                 { return nil }
func (noMail) ResumeSite(*sql.Tx, string) error                  { return nil }
func (noMail) SyncSite(context.Context, string) error            { return nil }
func (noMail) RenameSite(*sql.Tx, string, string) error          { return nil }
func (noMail) CloseSite(*sql.Tx, string) error                   { return nil }
func (noMail) EmptySite(context.Context, string, []string) error { return nil }
func (noMail) Scrub(context.Context) error                       { return nil }

func (noMail) RemoveSite(*sql.Tx, string, []string) (rows map[string]int, oldest, newest time.Time, err error) {
	return nil, oldest, newest, nil
}

func (noMail) CountSite(context.Context, string, []string) (rows map[string]int, oldest, newest time.Time, err error) {
	return nil, oldest, newest, nil
}
