package sites_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
	"golang.org/x/crypto/bcrypt"
)

func TestAPasswordOpensItsOwnLoginOnly(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	bcrypted, err := bcrypt.GenerateFromPassword([]byte("of bcrypt"), bcrypt.MinCost)
	must(t, err,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.AddLogin(ctx, sites.Login{Name: "Shop", Site: "a"}, "of shop"),
		s.AddLogin(ctx, sites.Login{Name: "Info@Bücher.example", Site: "a"}, "of info"),
		s.AddLoginHash(ctx, sites.Login{Name: "old", Site: "a"}, string(bcrypted)),
		// argon2id of "password", salt "somesalt": t=2, m=64 MiB, p=1, of the reference implementation
		s.AddLoginHash(ctx, sites.Login{Name: "reference", Site: "a"},
			"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"),
	)
	for _, row := range []struct {
		name, password, login string
	}{
		{"shop", "of shop", "shop"},
		{"SHOP", "of shop", "shop"},
		{"shop", "of Shop", ""},
		{"shop", "", ""},
		{"shop", "of shop\x00", ""},
		{"shop", strings.Repeat("x", 1<<20), ""},
		{"info@xn--bcher-kva.example", "of info", "info@xn--bcher-kva.example"},
		{"INFO@BÜCHER.example", "of info", "info@xn--bcher-kva.example"},
		{"old", "of bcrypt", "old"},
		{"old", "of shop", ""},
		{"reference", "password", "reference"},
		{"reference", "Password", ""},
		{"nobody", "of shop", ""},
		{"", "", ""},
		{"sh%", "of shop", ""},
		{"a\nb", "of shop", ""},
	} {
		l, err := s.Authenticate(ctx, row.name, row.password)
		if row.login == "" {
			if err != sites.ErrBadCredentials || l != (sites.Login{}) {
				t.Errorf("%q: %v, %v; want the one ErrBadCredentials", row.name, l, err)
			}
			continue
		}
		if err != nil || l != (sites.Login{Name: row.login, Site: "a"}) {
			t.Errorf("%q: %v, %v", row.name, l, err)
		}
	}
	must(t, s.SetPassword(ctx, "shop", "new"))
	if _, err := s.Authenticate(ctx, "shop", "of shop"); err != sites.ErrBadCredentials {
		t.Errorf("the old password answers %v", err)
	}
	if _, err := s.Authenticate(ctx, "shop", "new"); err != nil {
		t.Errorf("the new password answers %v", err)
	}
	must(t, s.RemoveLogin(ctx, "shop"))
	if _, err := s.Authenticate(ctx, "shop", "new"); err != sites.ErrBadCredentials {
		t.Errorf("a removed login answers %v", err)
	}
}

func TestHashesBeyondTheLimitsAreRefused(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t, s.AddSite(ctx, sites.Site{Name: "a"}))
	const sum = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, hash := range []string{
		"", "$", "$$$$$", "plain", "{SHA512-CRYPT}$6$x$y",
		"$argon2d$v=19$m=65536,t=2,p=1" + sum,
		"$argon2id$v=16$m=65536,t=2,p=1" + sum,
		"$argon2id$v=19$m=4194304,t=2,p=1" + sum,
		"$argon2id$v=19$m=65536,t=1000,p=1" + sum,
		"$argon2id$v=19$m=65536,t=0,p=1" + sum,
		"$argon2id$v=19$m=65536,t=2,p=0" + sum,
		"$argon2id$v=19$m=65536,t=2,p=1x" + sum,
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$",
		"$argon2id$v=19$m=65536,t=2,p=1$$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=2,p=1$***$***",
		"$2b$31$" + strings.Repeat("x", 53),
		"$2b$04$short",
	} {
		err := s.AddLoginHash(ctx, sites.Login{Name: "x", Site: "a"}, hash)
		if !errors.Is(err, sites.ErrInvalid) || len(hash) > 8 && strings.Contains(err.Error(), hash) {
			t.Errorf("%s: error %v", hash, err)
		}
	}
}

func TestLoginsAreListedByThePage(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	must(t, s.AddSite(ctx, sites.Site{Name: "a"}), s.AddSite(ctx, sites.Site{Name: "b"}))
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	must(t, err)
	const n = 1203
	for i := range n {
		must(t, s.AddLoginHash(ctx, sites.Login{Name: fmt.Sprintf("l%04d", i), Site: "ab"[i%2 : i%2+1]}, string(hash)))
	}
	all, one := logins(t, s, ""), logins(t, s, "b")
	if len(all) != n || all[0].Name != "l0000" || all[n-1].Name != "l1202" {
		t.Errorf("%d logins, from %v to %v", len(all), all[0], all[len(all)-1])
	}
	if len(one) != n/2 || one[0] != (sites.Login{Name: "l0001", Site: "b"}) {
		t.Errorf("%d logins of b, from %v", len(one), one[0])
	}
	for range s.ListLogins(ctx, "") {
		break // and no transaction stays open
	}
	must(t, s.RemoveLogin(ctx, "l0000"))
}

func TestAuthenticateStopsWaitingWithItsContext(t *testing.T) {
	s := newSites(t)
	must(t, s.AddSite(t.Context(), sites.Site{Name: "a"}), s.AddLogin(t.Context(), sites.Login{Name: "x", Site: "a"}, "secret"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := s.Authenticate(t.Context(), "x", "secret"); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	waited := false
	for range 16 { // a free turn and a done context are equally good to select
		if _, err := s.Authenticate(ctx, "x", "secret"); errors.Is(err, context.Canceled) {
			waited = true
		} else if err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if !waited {
		t.Error("a done context was never noticed")
	}
}

// TestNoPasswordIsEverShown puts a canary into every secret and looks for it in
// whatever the package returns or prints.
func TestNoPasswordIsEverShown(t *testing.T) {
	const canary = "cAnArY-5up3r-s3cr3t"
	ctx := t.Context()
	s := newSites(t)
	cred := transport.Credential{User: "u", Password: canary}
	host := sites.SmartHost{Key: "default", Nexthop: "[h.example]:587", Credential: cred}
	relay := sites.Credential{Key: "[h.example]:587", Credential: cred}
	must(t,
		s.AddSite(ctx, sites.Site{Name: "a"}),
		s.AddLogin(ctx, sites.Login{Name: "x", Site: "a"}, canary),
		s.SetSmartHost(ctx, host),
		s.SetCredential(ctx, relay),
	)
	hosts, err := s.ListSmartHosts(ctx)
	must(t, err)
	relays, err := s.ListCredentials(ctx)
	must(t, err)
	snap, err := s.Current(ctx)
	must(t, err)
	_, authErr := s.Authenticate(ctx, canary, canary+"x")
	long := strings.Repeat(canary, 100)
	shown := []any{
		s, snap, host, &host, relay, &relay, hosts, relays, logins(t, s, ""),
		struct{ s *sites.Sites }{s}, struct{ s *sites.Snapshot }{snap}, []*sites.Snapshot{snap},
		authErr,
		s.AddLogin(ctx, sites.Login{Name: "x", Site: "a"}, canary),
		s.AddLogin(ctx, sites.Login{Name: "y", Site: "none"}, canary),
		s.AddLogin(ctx, sites.Login{Name: "y", Site: "a"}, long),
		s.AddLogin(ctx, sites.Login{Name: "y", Site: "a"}, canary+"\n"),
		s.AddLoginHash(ctx, sites.Login{Name: "y", Site: "a"}, "$argon2id$"+canary),
		s.SetPassword(ctx, "none", canary),
		s.SetSmartHost(ctx, sites.SmartHost{Key: "default", Nexthop: "h", Credential: transport.Credential{User: "u", Password: canary + "\n"}}),
		s.SetSmartHost(ctx, sites.SmartHost{Key: "none", Nexthop: "h", Credential: cred}),
		s.SetCredential(ctx, sites.Credential{Key: "h h", Credential: cred}),
		s.SetCredential(ctx, sites.Credential{Key: "h", Credential: transport.Credential{Password: canary}}),
	}
	for i, v := range shown {
		if v == nil {
			t.Errorf("%d: nothing was refused", i)
		}
		encoded, _ := json.Marshal(v)
		var logged strings.Builder
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "v", v)
		for _, text := range []string{
			fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%s", v), fmt.Sprintf("%q", v),
			fmt.Sprintf("%x", v), string(encoded), logged.String(),
		} {
			if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
				t.Errorf("%T shows the canary: %s", v, text)
			}
		}
	}
	if got, _, _, _ := s.Credential(ctx, from("x@y.example", "a"), "[h.example]:587"); got.Password != canary {
		t.Error("the planner does not get the password: the test proves nothing")
	}
}
