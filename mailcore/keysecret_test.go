package mailcore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport/transporttest"
)

// A secret is octets that must appear nowhere.
type secret []byte

// shownIn reports whether text has a part of the secret in it that is long enough not
// to be chance, as it is, in hexadecimal, as %v prints octets, or in base64 at any offset.
func (s secret) shownIn(text string) bool {
	const part = 12
	for at := 0; at+part <= len(s); at++ {
		p := s[at : at+part]
		decimal := strings.Trim(fmt.Sprint([]byte(p)), "[]")
		for _, form := range []string{string(p), fmt.Sprintf("%x", []byte(p)), fmt.Sprintf("%X", []byte(p)), decimal,
			base64.StdEncoding.EncodeToString(p), base64.URLEncoding.EncodeToString(p)} {
			if strings.Contains(text, form) {
				return true
			}
		}
	}
	return false
}

func TestASecretIsFoundInDisguise(t *testing.T) {
	s := secret("0123456789abcdefghijklmnop")
	for _, text := range []string{
		"x" + string(s), fmt.Sprintf("%x", []byte(s[1:])), fmt.Sprintf("%X", []byte(s)), fmt.Sprint([]byte(s[2:])),
		base64.StdEncoding.EncodeToString(append([]byte("x"), s...)), base64.StdEncoding.EncodeToString(append([]byte("xy"), s...)),
	} {
		if !s.shownIn(text) {
			t.Errorf("not seen in %s", text)
		}
	}
	if s.shownIn("0123456789 and other text") {
		t.Error("seen where it is not")
	}
}

// privateOf is the octets of a private key that follow what it has in common with
// others and with its public half.
func privateOf(t *testing.T, k dkim.Key) secret {
	t.Helper()
	text, err := k.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if k.Algorithm() == dkim.Ed25519 {
		return block.Bytes[len(block.Bytes)-32:]
	}
	return block.Bytes[len(block.Bytes)*2/3:] // primes and what is made of them
}

func TestPrivateKeysAndSecretsOfSRSShowNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "data", "mail.db")
		var shown bytes.Buffer
		srv, err := Open(t.Context(), path, Config{
			Hostname: "mx.panel.example", Poll: -1, Resolver: transporttest.NewNames().Resolver(),
			Log: slog.New(slog.NewTextHandler(&shown, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		for _, err := range []error{
			srv.Sites().AddSite(ctx, sites.Site{Name: "ours"}),
			srv.Sites().AddDomain(ctx, sites.Domain{Name: "ours.example", Site: "ours", Class: sites.Hosted}),
			srv.Sites().SetRoutes(ctx, []sites.Route{{Pattern: "far.example", Value: "error:5.1.1 no such user"}, {Pattern: "ours.example", Value: "hold:"}}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		keyed(t, srv, false, "ours.example", dkim.RSA2048, dkim.Ed25519)
		keyed(t, srv, true, "panel.example", dkim.Ed25519)
		secrets := secretsOfAll(t, srv)

		ran := make(chan error, 1)
		go func() { ran <- srv.queue.Run(ctx, srv.dispatcher) }()
		text := exercise(t, srv)
		time.Sleep(time.Hour)
		cancel()
		if err := <-ran; err != nil {
			t.Fatal(err)
		}
		for id := range entries(t, srv) {
			text += content(t, srv, id)
		}
		text += fmt.Sprintf("%v %+v %#v %s %+v %#v", srv, srv, srv, srv.Sites(), srv.Sites().Snapshot(), srv.Sites().Snapshot())
		if err := srv.Close(); err != nil { // now all is logged
			t.Fatal(err)
		}
		for what, s := range secrets {
			if s.shownIn(text) || s.shownIn(shown.String()) {
				t.Errorf("%s is shown", what)
			}
		}
		if !strings.Contains(text, "DKIM-Signature:") || !strings.Contains(text, "SRS0=") || shown.Len() == 0 {
			t.Errorf("nothing was shown at all: %s", text)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", info.Mode(), err)
		}
	})
}

// exercise has keys and secrets used, and returns what is shown of it.
func exercise(t *testing.T, srv *Server) string {
	ctx := t.Context()
	var all strings.Builder
	show := func(v any, err error) {
		asJSON, _ := json.Marshal(v)
		fmt.Fprintf(&all, "%+v %#v %s %v %+v\n", v, v, asJSON, err, err)
	}
	for _, from := range []string{"From: me@ours.example\r\n", "From: me@ours.example\r\nFrom: me@ours.example\r\n", "From : x\r\n"} {
		show(srv.Submit(ctx, Message{Site: "ours", ReversePath: "me@ours.example", Recipients: []string{"u@far.example"}, Content: strings.NewReader(from + "\r\nx\r\n")}))
	}
	show(srv.Forward(ctx, Message{Site: "ours", ReversePath: "x@near.example", Recipients: []string{"u@far.example"}, Content: strings.NewReader("From: x@near.example\r\n\r\nx\r\n")}))
	keys, err := srv.Sites().SigningKeys(ctx, "ours.example")
	show(keys, err)
	rewriter, err := srv.Sites().Rewriter(ctx, "ours.example")
	show(rewriter, err)
	show(rewriter.Forward("x@near.example"))
	show(rewriter.Reverse("SRS0=AAAAAAAA=AA=near.example=x@ours.example"))
	show(srv.Sites().ListSRS(ctx))
	show(srv.Sites().RotateSRS(ctx, "ours"))
	show(srv.Sites().ListDKIM(ctx, ""))
	show(srv.CheckDKIM(ctx, "ours.example"))
	show(srv.Sites().RotateDKIM(ctx, "ours.example"))
	show(srv.Sites().RotateDKIM(ctx, "ours.example"))
	show(nil, srv.KeepKeys(ctx))
	show(srv.Sites().CountSite(ctx, "ours"))
	return all.String()
}

// secretsOfAll are the private keys that sign and the secrets of SRS.
func secretsOfAll(t *testing.T, srv *Server) map[string]secret {
	t.Helper()
	all := map[string]secret{}
	for _, domain := range []string{"ours.example", "panel.example"} {
		keys, err := srv.Sites().SigningKeys(t.Context(), domain)
		if err != nil || len(keys) == 0 {
			t.Fatal(keys, err)
		}
		for _, k := range keys {
			all[k.String()] = privateOf(t, k)
		}
	}
	if _, err := srv.Sites().Rewriter(t.Context(), "ours.example"); err != nil {
		t.Fatal(err)
	}
	err := srv.queue.View(t.Context(), func(tx *sql.Tx) error {
		var text []byte
		err := tx.QueryRow(`SELECT secret FROM panelmail_srs_secret`).Scan(&text)
		all["the secret of SRS"] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// entries are the queue IDs of what is in the queue.
func entries(t *testing.T, srv *Server) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for e, err := range srv.Queue().Entries(t.Context(), queue.Match{All: true}) {
		if err != nil {
			t.Fatal(err)
		}
		all[e.ID] = true
	}
	return all
}

func content(t *testing.T, srv *Server, id string) string {
	t.Helper()
	r, err := srv.Queue().Content(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
