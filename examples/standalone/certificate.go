package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/panelmail/panelmail/mailcore"
)

// A namedCertificate is the files of a certificate and of its key, and the key of
// the configuration that names them.
type namedCertificate struct{ setting, certificate, key string }

// certificates are those of the configuration, or the self-signed one of this data
// directory.
func (a *app) certificates() (all []namedCertificate) {
	if a.settings.TLS.Certificate != "" {
		all = append(all, namedCertificate{"tls.certificate", a.settings.TLS.Certificate, a.settings.TLS.Key})
	}
	for _, file := range a.settings.TLS.ChainFiles {
		all = append(all, namedCertificate{"tls.chain_files", file, file})
	}
	if !a.ownCertificates() {
		certFile, keyFile := a.selfSigned()
		all = append(all, namedCertificate{"tls.certificate", certFile, keyFile})
	}
	return all
}

// read reads a certificate.
func (n namedCertificate) read(a *app) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(n.certificate, n.key)
	if err != nil {
		return pair, a.fault(n.setting, fmt.Errorf("%s with key %s: %w", n.certificate, n.key, err))
	}
	return pair, nil
}

// loadCertificates reads all certificates. The error names every file that cannot be
// used.
func (a *app) loadCertificates() (*mailcore.Certificates, error) {
	var files []mailcore.CertificateFiles
	var problems []error
	for _, n := range a.certificates() {
		_, err := n.read(a)
		problems = append(problems, err)
		files = append(files, mailcore.CertificateFiles{Certificate: n.certificate, Key: n.key})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return mailcore.LoadCertificates(files...)
}

// ownCertificates reports whether the configuration names certificates.
func (a *app) ownCertificates() bool {
	return a.settings.TLS.Certificate != "" || len(a.settings.TLS.ChainFiles) > 0
}

func (a *app) selfSigned() (certFile, keyFile string) {
	return filepath.Join(a.data, "self-signed.crt"), filepath.Join(a.data, "self-signed.key")
}

// makeCertificate makes the self-signed certificate if it is needed and is not
// there yet, as at the first start. A key without one is what a start that was
// interrupted has left, and is made anew.
func (a *app) makeCertificate() error {
	certFile, keyFile := a.selfSigned()
	if _, err := os.Lstat(certFile); a.ownCertificates() || !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	cert, key, err := mailcore.SelfSigned(a.settings.Hostname)
	if err != nil {
		return fmt.Errorf("self-signed certificate: %w", err)
	}
	if info, err := os.Lstat(keyFile); err == nil && info.Mode().IsRegular() {
		if err := os.Remove(keyFile); err != nil {
			return fmt.Errorf("self-signed certificate: %w", err)
		}
	}
	if err := create(keyFile, key); err != nil {
		return fmt.Errorf("self-signed certificate: %w", err)
	}
	if err := create(certFile, cert); err != nil {
		return fmt.Errorf("self-signed certificate: %w", err)
	}
	return nil
}
