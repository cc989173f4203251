package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/panelmail/panelmail/mailcore"
)

// loadCertificate reads the one configured, or the self-signed one of this data
// directory.
func (a *app) loadCertificate() (tls.Certificate, error) {
	certFile, keyFile := a.settings.TLS.Certificate, a.settings.TLS.Key
	if certFile == "" {
		certFile, keyFile = a.selfSigned()
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return pair, a.fault("tls.certificate", fmt.Errorf("%s with key %s: %w", certFile, keyFile, err))
	}
	return pair, nil
}

func (a *app) selfSigned() (certFile, keyFile string) {
	return filepath.Join(a.data, "self-signed.crt"), filepath.Join(a.data, "self-signed.key")
}

// makeCertificate makes the self-signed certificate if it is needed and is not
// there yet, as at the first start. A key without one is what a start that was
// interrupted has left, and is made anew.
func (a *app) makeCertificate() error {
	certFile, keyFile := a.selfSigned()
	if _, err := os.Lstat(certFile); a.settings.TLS.Certificate != "" || !errors.Is(err, os.ErrNotExist) {
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
