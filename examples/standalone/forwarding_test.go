package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/mailcore"
)

func TestForwardingIsConfiguredAndItsSendersAreShown(t *testing.T) {
	l := newLab(t)
	l.configure(`hostname = "mail.panel.example"`, "[forwarding]", `domain = "srs.panel.example"`, "any_sender = true", "bounces_per_day = 0", `rotation = "0s"`, "wrong_addresses = 5")
	l.steps(nil,
		step{args: "config check", stdout: filepath.Join(l.data, "panelmail.toml") + ": ok\n"},
		step{args: "config show --changed", stdout: `forwarding.any_sender = true
forwarding.bounces_per_day = 0
forwarding.domain = "srs.panel.example"
forwarding.rotation = "0s"
forwarding.wrong_addresses = 5
hostname = "mail.panel.example"
`},
	)
	a := &app{data: l.data}
	if err := a.load(); err != nil {
		t.Fatal(err)
	}
	config, err := a.library()
	if err != nil {
		t.Fatal(err)
	}
	if want := (mailcore.Forwarding{Domain: "srs.panel.example", Rotation: -1, AnySender: true, BouncesPerDay: -1, WrongAddresses: 5}); config.Forwarding != want {
		t.Errorf("%+v, want %+v", config.Forwarding, want)
	}
	srv, err := mailcore.Open(t.Context(), filepath.Join(l.data, "panelmail.db"), config)
	if err != nil {
		t.Fatal(err)
	}
	id, err := srv.Forward(t.Context(), mailcore.Message{ReversePath: "alice@author.example", Recipients: []string{"x@out.example"}, Content: strings.NewReader("Subject: x\n\nx\n")})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	shown := l.do("", "queue", "show", id)
	for _, want := range []string{"sender     alice@author.example\n", "origin     forward", "recipient  x@out.example\n  sender   SRS0=", "=author.example=alice@srs.panel.example\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
}
