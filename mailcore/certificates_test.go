package mailcore_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/mailcore"
)

// writePair writes a certificate for names; the serial number tells it from others.
func writePair(t *testing.T, f mailcore.CertificateFiles, serial int64, key crypto.Signer, names ...string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: names, Subject: pkix.Name{CommonName: "cn.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, f.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, f.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func ecdsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func filesIn(dir, name string) mailcore.CertificateFiles {
	return mailcore.CertificateFiles{Certificate: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
}

// serialFor is the serial number of the certificate that a client gets.
func serialFor(t *testing.T, server *tls.Config, client *tls.Config) int64 {
	t.Helper()
	near, far := memnet.Pipe(netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:25"))
	defer near.Close()
	defer far.Close()
	done := make(chan error)
	go func() { done <- tls.Server(far, server).Handshake() }()
	client.InsecureSkipVerify = true
	c := tls.Client(near, client)
	if err := c.Handshake(); err != nil {
		t.Fatalf("%q: %v", client.ServerName, err)
	}
	if err := <-done; err != nil {
		t.Fatalf("%q: %v", client.ServerName, err)
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestAClientGetsTheCertificateForTheNameItAsksFor(t *testing.T) {
	dir := t.TempDir()
	main, wild, exact, old, rsaToo := filesIn(dir, "main"), filesIn(dir, "wild"), filesIn(dir, "exact"), filesIn(dir, "old"), filesIn(dir, "rsa")
	writePair(t, main, 1, ecdsaKey(t), "mail.panel.test", "MX.panel.test")
	writePair(t, wild, 2, ecdsaKey(t), "*.shop.test")
	writePair(t, exact, 3, ecdsaKey(t), "mail.shop.test")
	writePair(t, old, 4, ecdsaKey(t)) // with a common name only
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	writePair(t, rsaToo, 5, key, "mail.panel.test")
	c, err := mailcore.LoadCertificates(main, wild, exact, old, rsaToo)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{
		"mail.panel.test": 1, "mx.panel.test": 1, "": 1, "elsewhere.test": 1, "smtp.shop.test": 2, "a.b.shop.test": 1,
		"mail.shop.test": 3, "MAIL.SHOP.TEST": 3, "cn.test": 4,
	} {
		if got := serialFor(t, c.TLS(), &tls.Config{ServerName: name}); got != want {
			t.Errorf("%q gets certificate %d, want %d", name, got, want)
		}
	}
	onlyRSA := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	for _, name := range []string{"mail.panel.test", "elsewhere.test"} {
		onlyRSA.ServerName = name
		if got := serialFor(t, c.TLS(), onlyRSA); got != 5 {
			t.Errorf("%q without ECDSA gets certificate %d", name, got)
		}
	}
}

func TestABrokenPairKeepsTheOldOneAndIsNamed(t *testing.T) {
	dir := t.TempDir()
	one, two := filesIn(dir, "one"), filesIn(dir, "two")
	writePair(t, one, 1, ecdsaKey(t), "one.test")
	writePair(t, two, 2, ecdsaKey(t), "two.test")
	c, err := mailcore.LoadCertificates(one, two)
	if err != nil {
		t.Fatal(err)
	}
	server := c.TLS()
	serials := func() []int64 {
		return []int64{serialFor(t, server, &tls.Config{ServerName: "one.test"}), serialFor(t, server, &tls.Config{ServerName: "two.test"})}
	}
	writePair(t, one, 11, ecdsaKey(t), "one.test")
	good, err := os.ReadFile(two.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string][]byte{"cut": good[:len(good)/2], "empty": {}, "text": []byte("no certificate")} {
		writeFile(t, two.Certificate, broken)
		err = c.Reload()
		if err == nil || !strings.Contains(err.Error(), two.Certificate) || strings.Contains(err.Error(), one.Certificate) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]int64{11, 2}, serials()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	writePair(t, two, 12, ecdsaKey(t), "two.test")
	if err := os.Remove(one.Key); err != nil {
		t.Fatal(err)
	}
	if err := c.Reload(); err == nil || !strings.Contains(err.Error(), one.Key) {
		t.Errorf("without a key: %v", err)
	}
	if diff := cmp.Diff([]int64{11, 12}, serials()); diff != "" {
		t.Error(diff)
	}
	if _, err := mailcore.LoadCertificates(one, two); err == nil || !strings.Contains(err.Error(), one.Key) {
		t.Errorf("at the start: %v", err)
	}
	if _, err := mailcore.LoadCertificates(); err == nil {
		t.Error("no certificates at all are fine")
	}
}
