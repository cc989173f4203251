package mailcore

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// FuzzEverySenderFindsTheWayBack has an alias send mail of a sender on, and a bounce
// come back: it goes to nobody but that sender.
func FuzzEverySenderFindsTheWayBack(f *testing.F) {
	for _, sender := range []string{
		"alice@author.example", "A.b+c=d@author.example", "a%b!c@author.example", `"a b"@author.example`, `"a@b\"\\"@author.example`, "jörg@bücher.example",
		"u@[192.0.2.1]", "SRS0=AAAA=BB=first.example=u@second.example", "SRS0-AAAA=BB=first.example=u@second.example",
		"SRS1+AAAA=first.example=+AAAA=BB=u.example=u@third.example", "SRS1=x@author.example", "srs0=@a.example", "SRS0+@0", "SRS1+=0=+@A", `"SRS0= "@a.example`,
		strings.Repeat("l", 230) + "@author.example", "postmaster@shop.example", "u@mail.panel.example",
	} {
		f.Add(sender)
	}
	s, err := Open(f.Context(), filepath.Join(f.TempDir(), "mail.db"), Config{
		Hostname:   "mail.panel.example",
		Log:        slog.New(slog.DiscardHandler),
		Forwarding: Forwarding{BouncesPerDay: -1, WrongAddresses: -1},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	for _, err := range []error{
		s.Sites().AddSite(f.Context(), sites.Site{Name: "shop"}),
		s.Sites().AddDomain(f.Context(), sites.Domain{Name: "shop.example", Site: "shop", Class: sites.Hosted}),
		s.Sites().SetAlias(f.Context(), sites.AliasEntry{Pattern: "fwd@shop.example", Targets: []string{"x@out.example"}}),
	} {
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		sender, err := address.Parse(text)
		if err != nil || sender.Domain == "" {
			return
		}
		only := func(from, to string) transport.Recipient {
			d := &draft{envelope: transport.Envelope{ReversePath: from}, origin: transport.Origin{Via: transport.ViaSMTP}}
			a, err := s.current().recipient(context.Background(), d, to, false)
			if err != nil || len(a.recipients) != 1 {
				t.Fatalf("from %s to %s: %+v, %v", from, to, a.recipients, err)
			}
			return a.recipients[0]
		}
		path := only(sender.String(), "fwd@shop.example").ReversePath
		switch domain := sender.Fold().Domain; {
		case domain == "shop.example" || domain == "mail.panel.example":
			if path != "" {
				t.Errorf("%s is ours, and was rewritten to %s", sender, path)
			}
			return
		case path == "postmaster@shop.example":
			return // too long, or a rewritten one that is none
		}
		got, err := address.Parse(only("", path).Address)
		if err != nil {
			t.Fatal(err)
		}
		if version := strings.ToUpper(sender.Local[:min(4, len(sender.Local))]); version == "SRS1" && isRewritten(sender.Local) {
			return // its bounces go to the first forwarder
		}
		if got.Fold().Domain != sender.Fold().Domain || got.Local != sender.Local && !isRewritten(sender.Local) {
			t.Errorf("%s left as %s, and its bounce goes to %s", sender, path, got)
		}
	})
}
