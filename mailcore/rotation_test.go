package mailcore

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore/sites"
)

// inYears opens a server in virtual time and calls act while run is under way.
func inYears(t *testing.T, config Config, run func(*Server, context.Context), act func(*Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config.Hostname, config.Poll = "mail.host.example", -1
		srv, err := Open(t.Context(), filepath.Join(t.TempDir(), "panelmail.db"), config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			run(srv, ctx)
		}()
		act(srv)
		stop()
		<-done
		srv.Close()
	})
}

func secretsOf(t *testing.T, srv *Server) []sites.SRSSecret {
	t.Helper()
	list, err := srv.Sites().ListSRS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestSecretsOfSRSAreRotatedWhileTheServerRuns(t *testing.T) {
	var log strings.Builder
	config := Config{Log: slog.New(slog.NewTextHandler(&log, nil))}
	inYears(t, config, (*Server).rotateSecrets, func(srv *Server) {
		began := time.Now().UTC()
		r, err := srv.Rewriter(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		made, err := r.Forward("alice@far.example")
		if err != nil || !strings.HasSuffix(made, "@mail.host.example") {
			t.Fatalf("%s, %v", made, err)
		}
		time.Sleep(30*24*time.Hour - time.Second)
		if list := secretsOf(t, srv); len(list) != 1 {
			t.Errorf("before the time: %v", list)
		}
		time.Sleep(2 * time.Second)
		rotated := began.Add(30 * 24 * time.Hour)
		want := []sites.SRSSecret{
			{ID: 2, Created: rotated},
			{ID: 1, Created: began, Replaced: rotated, Until: rotated.Add(23 * 24 * time.Hour)},
		}
		if diff := cmp.Diff(want, secretsOf(t, srv)); diff != "" {
			t.Errorf("ring (-want +got):\n%s", diff)
		}
		time.Sleep(23 * 24 * time.Hour)
		if diff := cmp.Diff(want[:1], secretsOf(t, srv)); diff != "" {
			t.Errorf("when the old one is forgotten (-want +got):\n%s", diff)
		}
	})
	if n := strings.Count(log.String(), "srs secret rotated"); n != 1 {
		t.Errorf("%d rotations in the log:\n%s", n, log.String())
	}
}

func TestAServerThatRunsRotatesSecretsOfSRS(t *testing.T) {
	config := Config{Log: slog.New(slog.DiscardHandler), Forwarding: Forwarding{Rotation: 24 * time.Hour}}
	run := func(srv *Server, ctx context.Context) {
		if err := srv.Run(ctx); err != nil {
			t.Error(err)
		}
	}
	inYears(t, config, run, func(srv *Server) {
		if _, err := srv.Rewriter(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Hour)
		if list := secretsOf(t, srv); len(list) != 2 {
			t.Errorf("after a day: %v", list)
		}
	})
}

func TestSecretsOfSRSAreLeftAloneWhereThatIsAsked(t *testing.T) {
	inYears(t, Config{Forwarding: Forwarding{Rotation: -1}}, (*Server).rotateSecrets, func(srv *Server) {
		if _, err := srv.Rewriter(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(400 * 24 * time.Hour)
		if list := secretsOf(t, srv); len(list) != 1 {
			t.Errorf("after a year: %v", list)
		}
	})
	_, err := Open(t.Context(), filepath.Join(t.TempDir(), "panelmail.db"), Config{
		Hostname: "mail.host.example", Forwarding: Forwarding{Rotation: time.Hour},
	})
	if err == nil || !strings.Contains(err.Error(), "Forwarding.Rotation is 1h0m0s, want a day or more") {
		t.Errorf("an hour: %v", err)
	}
}
