package mailcore_test

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/panelmail/panelmail/transport"
)

func TestMailToASiteThatIsBeingRemovedIsToComeLater(t *testing.T) {
	srv, _ := openAlone(t)
	addSite(t, srv, "gone", "gone.example")
	err := srv.Queue().Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE panelmail_site SET suspended = 1, removing = 1 WHERE name = 'gone'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Sites().Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = srv.Submit(t.Context(), hello("a@stranger.test", "postmaster@gone.example"))
	var reply transport.Reply
	if !errors.As(err, &reply) || reply.Code != 450 || reply.Status() != "4.3.2" {
		t.Errorf("the answer is %v, want 450 4.3.2", err)
	}
}
