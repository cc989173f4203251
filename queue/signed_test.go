package queue_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

func TestTablesFromBeforeSigningAreBroughtUpToDate(t *testing.T) {
	path := newPath(t)
	q := open(t, path, queue.Options{Poll: -1})
	old := enqueue(t, q, "\r\n")
	for _, statement := range []string{
		`DROP INDEX panelmail_message_signed`,
		`ALTER TABLE panelmail_message DROP COLUMN signed`,
		`DROP TABLE panelmail_settled`,
		`UPDATE panelmail_version SET version = 3`,
	} {
		fill(t, q, statement)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = open(t, path, queue.Options{Poll: -1})
	defer q.Close()
	id, err := q.Enqueue(t.Context(), queue.Message{
		Envelope: transport.Envelope{Recipients: []transport.Recipient{{Address: "bob@far.test"}}},
		Signed:   []string{"a.key"},
	}, strings.NewReader("\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{old, id}, ids(t, q)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if names, err := q.Signed(t.Context()); err != nil || !cmp.Equal(names, []string{"a.key"}) {
		t.Errorf("in use: %q, %v", names, err)
	}
}
