package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/panelmail/panelmail/mailcore"
)

// A certificate is the server's, read again at SIGHUP. Connections that are open
// keep the one they began with.
type certificate struct {
	now atomic.Pointer[tls.Certificate]
}

// config is the TLS configuration for the listeners.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil },
		MinVersion:     tls.VersionTLS12,
	}
}

// reload reads the certificate at each signal, until ctx is done. One that cannot
// be read leaves the old one in use.
func (c *certificate) reload(ctx context.Context, a *app, signals <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		pair, err := a.loadCertificate()
		if err != nil {
			log.Error("the certificate was not read again", "error", err)
			continue
		}
		c.now.Store(&pair)
		log.Info("the certificate was read again; other settings are read at the next start")
	}
}

// hangups are the requests to read the certificate again. To a process that has
// not asked for them they are the end.
func hangups() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}

// loadCertificate reads the one configured, or the self-signed one of this data
// directory.
func (a *app) loadCertificate() (tls.Certificate, error) {
	certFile, keyFile := a.settings.TLS.Certificate, a.settings.TLS.Key
	if certFile == "" {
		certFile, keyFile = a.selfSigned()
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return pair, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
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
