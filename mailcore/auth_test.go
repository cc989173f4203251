package mailcore_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
)

func TestANameWithoutADomainIsInTheRealmUnlessItIsALogin(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{Realm: "shop.example"})
		addSite(t, srv, "shop", "shop.example")
		addCheapLogin(t, srv, "bob@shop.example", "shop", "of bob")
		addCheapLogin(t, srv, "ann@shop.example", "shop", "of ann in the realm")
		addCheapLogin(t, srv, "ann", "shop", "of ann")
		client := netip.MustParseAddr("192.0.2.0")
		for _, tt := range []struct{ name, password, sender, want string }{
			{"bob", "of bob", "bob@shop.example", "250 2.1.0 Ok"},
			{"BOB", "of bob", "ann@shop.example", "553 5.7.1 <ann@shop.example>: Sender address rejected: not owned by user bob@shop.example"},
			{"bob@shop.example", "of bob", "bob@shop.example", "250 2.1.0 Ok"},
			{"ann", "of ann", "bob@shop.example", "250 2.1.0 Ok"},
			{"ann", "of ann in the realm", "", wrong},
			{"nobody", "of bob", "", wrong},
			{"", "of bob", "", wrong},
			{"a b", "of bob", "", wrong},
		} {
			client = client.Next()
			got := guess(t, lab, client, plain(tt.name, tt.password), "MAIL FROM:<"+tt.sender+">")
			if tt.want == wrong && got[0] != wrong || tt.want != wrong && got[1] != tt.want {
				t.Errorf("%s: %q, want %s", tt.name, got, tt.want)
			}
		}
	})
}

func TestAnAuthenticatorIsToldTheClientAndMayLeaveTheSiteOut(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		client := netip.MustParseAddr("192.0.2.7")
		var asked netip.Addr
		srv := lab.Server(mailcore.Config{Authenticator: mailcore.AuthenticatorFunc(
			func(ctx context.Context, name, password string) (mailcore.Identity, error) {
				if asked = mailcore.ClientAddr(ctx); password != "secret" {
					return mailcore.Identity{}, errors.New("no")
				}
				return mailcore.Identity{Login: name}, nil
			})})
		addSite(t, srv, "shop", "shop.example")
		got := guess(t, lab, client, plain("bob@shop.example", "secret"), "MAIL FROM:<bob@shop.example>", "RSET", "MAIL FROM:<ann@shop.example>")
		if got[1] != "250 2.1.0 Ok" || got[3][:3] != "553" || asked != client {
			t.Errorf("%q, asked about %v", got, asked)
		}
	})
}

func TestARealmThatIsNoDomainIsRefused(t *testing.T) {
	if err := (mailcore.Config{Hostname: "mx.example", Realm: "no domain"}).Check(); err == nil {
		t.Error("taken")
	}
}
