package mailcore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// CertificateFiles names the PEM files of a certificate, its chain included, and of
// its key.
type CertificateFiles struct {
	Certificate, Key string
}

// Certificates are certificates in files, of which each client gets the one for the
// name it asks for (RFC 6066 section 3). Nobody watches the files: Reload reads them
// again. Connections that are open keep what they began with.
//
// The methods may be called from many goroutines.
type Certificates struct {
	files []CertificateFiles

	reloading sync.Mutex
	now       atomic.Pointer[keyring]
}

// LoadCertificates reads certificates. The first is for clients that ask for no name,
// or for one that nobody here has. The error names every pair that cannot be used.
func LoadCertificates(files ...CertificateFiles) (*Certificates, error) {
	if len(files) == 0 {
		return nil, errors.New("mailcore: no certificates")
	}
	c := &Certificates{files: files}
	c.now.Store(newKeyring(make([]*tls.Certificate, len(files))))
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. A pair that cannot be used is left as it was; the
// error names every one of them. The others are replaced.
func (c *Certificates) Reload() error {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	pairs := append([]*tls.Certificate(nil), c.now.Load().pairs...)
	var problems []error
	for i, f := range c.files {
		pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
		if err != nil {
			problems = append(problems, fmt.Errorf("mailcore: certificate %s with key %s: %w", f.Certificate, f.Key, err))
			continue
		}
		pairs[i] = &pair
	}
	c.now.Store(newKeyring(pairs))
	return errors.Join(problems...)
}

// TLS is a configuration of listeners that has the certificates of the moment.
func (c *Certificates) TLS() *tls.Config {
	return &tls.Config{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load().choose(hello), nil },
		MinVersion:     tls.VersionTLS12,
	}
}

// A keyring is certificates and whom they are for. It never changes.
type keyring struct {
	pairs  []*tls.Certificate            // nil: not read yet
	byName map[string][]*tls.Certificate // a name, or * for its first label
}

func newKeyring(pairs []*tls.Certificate) *keyring {
	k := &keyring{pairs: pairs, byName: map[string][]*tls.Certificate{}}
	for _, pair := range pairs {
		if pair == nil {
			continue
		}
		for _, name := range namesOf(pair.Leaf) {
			name = strings.ToLower(name)
			k.byName[name] = append(k.byName[name], pair)
		}
	}
	return k
}

// namesOf are the host names of a certificate.
func namesOf(leaf *x509.Certificate) []string {
	if len(leaf.DNSNames) == 0 && leaf.Subject.CommonName != "" {
		return []string{leaf.Subject.CommonName}
	}
	return leaf.DNSNames
}

// choose finds the certificate for a client. Of several for a name, of different
// kinds of keys, it takes the first that the client can use.
func (k *keyring) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	name := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	candidates := k.byName[name]
	if _, parent, found := strings.Cut(name, "."); found && len(candidates) == 0 {
		candidates = k.byName["*."+parent]
	}
	if len(candidates) == 0 {
		candidates = k.pairs
	}
	anyName := *hello
	anyName.ServerName = "" // names have been looked at
	for _, pair := range candidates {
		if anyName.SupportsCertificate(pair) == nil {
			return pair
		}
	}
	return candidates[0]
}
