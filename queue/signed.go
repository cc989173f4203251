package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxSigned bounds a name of [Message.Signed], in octets: that of a DNS record.
const maxSigned = 255

func checkSigned(names []string) error {
	var errs []error
	for _, name := range names {
		if name == "" || len(name) > maxSigned || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			errs = append(errs, fmt.Errorf("%q is no name of what a message is signed with", name))
		}
	}
	return errors.Join(errs...)
}

// signed is how names are stored.
func signed(names []string) string { return strings.Join(names, " ") }

// Signed lists, in order, every name in [Message.Signed] of a message in the queue,
// whatever the state of that: what is waiting, on hold or not due for a year keeps its
// names in use. It costs a search in an index for each combination of names.
func (q *Queue) Signed(ctx context.Context) ([]string, error) {
	all, err := q.store.signed(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range all {
		names = append(names, strings.Fields(s)...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// selectSigned steps from one value to the next in the index.
const selectSigned = `
WITH RECURSIVE step(value) AS (
	SELECT min(signed) FROM panelmail_message WHERE signed <> '' AND id` + noLeftover + `
	UNION ALL
	SELECT (SELECT min(signed) FROM panelmail_message WHERE signed <> '' AND signed > step.value AND id` + noLeftover + `)
	FROM step WHERE step.value IS NOT NULL)
SELECT value FROM step WHERE value IS NOT NULL`

func (e *engine) signed(ctx context.Context) ([]string, error) {
	return column[string](e.read.QueryContext(ctx, selectSigned))
}

// sign puts on top of a report what [Options.Sign] makes for it.
func (q *Queue) sign(ctx context.Context, r *record) {
	o := q.o.Load()
	if o.Sign == nil {
		return
	}
	fields, names, err := o.Sign(ctx, r.body)
	if err == nil {
		err = checkSigned(names)
	}
	if err != nil {
		o.Log.ErrorContext(ctx, "report not signed", "id", r.id, "error", err)
		return
	}
	r.head, r.signed = fields, signed(names)
	r.size += int64(len(fields))
}
