package mailcore_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
)

func TestALoginOfASuspendedSiteIsToldSoAndNobodyIsBlamed(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv, log := guarded(t, lab, mailcore.Guard{})
		if err := srv.Sites().Suspend(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		client := netip.MustParseAddr("192.0.2.1")
		const disabled = "525 5.7.13 Error: account disabled"
		got := guess(t, lab, client, plain("me@shop.example", "secret"), plain("me@shop.example", "guess"))
		if diff := cmp.Diff([]string{disabled, wrong}, got); diff != "" {
			t.Errorf("replies (-want +got):\n%s", diff)
		}
		if err := srv.Sites().Resume(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		if got := guess(t, lab, client, plain("me@shop.example", "secret")); got[0] != authenticated {
			t.Errorf("after the suspension: %s", got[0])
		}
		if n := strings.Count(log.String(), "authentication failed"); n != 1 {
			t.Errorf("%d failures are in the log, want that of the wrong password alone", n)
		}
	})
}
