package main

import (
	"crypto/tls"
	"net/smtp"
	"os"
	"path/filepath"
	"testing"

	"github.com/panelmail/panelmail/mailcore"
)

// TestChainFilesAreForTheNamesInThem adds a certificate to a server that runs, and
// breaks it.
func TestChainFilesAreForTheNamesInThem(t *testing.T) {
	r := newReloading(t)
	crt, key, err := mailcore.SelfSigned("mail.shop.example")
	if err != nil {
		t.Fatal(err)
	}
	chain := filepath.Join(r.data, "shop.pem")
	if err := os.WriteFile(chain, append(key, crt...), 0o600); err != nil {
		t.Fatal(err)
	}
	line := `tls.chain_files = ["` + chain + `"]`
	r.settings(line)
	r.reload()
	certificates := func() (names []string) {
		for _, name := range []string{"mail.shop.example", "other.example"} {
			c, err := smtp.Dial(r.served.listens("smtp"))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.StartTLS(&tls.Config{InsecureSkipVerify: true, ServerName: name}); err != nil {
				t.Fatal(err)
			}
			state, _ := c.TLSConnectionState()
			names = append(names, state.PeerCertificates[0].Subject.CommonName)
			c.Close()
		}
		return names
	}
	if got := certificates(); got[0] != "mail.shop.example" || got[1] != "first.example" {
		t.Errorf("the certificates are for %q", got)
	}
	if err := os.WriteFile(chain, key, 0o600); err != nil {
		t.Fatal(err)
	}
	r.refuse(":7: tls.chain_files: "+chain, "PEM")
	if got := certificates(); got[0] != "mail.shop.example" {
		t.Errorf("after a reload that was refused: %q", got)
	}
}
