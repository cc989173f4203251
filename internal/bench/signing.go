package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/internal/interop"
	"github.com/panelmail/panelmail/internal/sqlitedb"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// The names under which the servers sign; the generator's messages are from there.
const (
	signingSite     = "bench"
	signingDomain   = "generator.test"
	signingSelector = "bench"
)

// signingKey writes an RSA key into dir and returns the name of the file.
func signingKey(dir string) (string, error) {
	key, err := dkim.GenerateKey(signingDomain, signingSelector, dkim.RSA2048)
	if err != nil {
		return "", err
	}
	text, err := key.MarshalPEM()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "dkim.pem")
	return file, os.WriteFile(file, text, 0o600)
}

// signed is a server of ours that signs what it takes.
func signed(b *bench) target {
	plain := panelmail(b)
	return target{name: plain.name, start: func(ctx context.Context, s scene) (running, error) {
		binary, err := b.program(ctx)
		if err != nil {
			return running{}, err
		}
		p := &interop.Standalone{Binary: binary, Dir: s.dir}
		if _, err := p.Command(ctx, "site", "add", signingSite); err != nil {
			return running{}, err
		}
		if err := letSign(ctx, p.Database(), s.dir); err != nil {
			return running{}, err
		}
		return plain.start(ctx, s)
	}}
}

// letSign gives the database of a server that does not run a key that signs already,
// as if its record had been seen everywhere for long enough.
func letSign(ctx context.Context, database, dir string) error {
	file, err := signingKey(dir)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	server, err := mailcore.Open(ctx, database, mailcore.Config{Hostname: "panelmail.test"})
	if err != nil {
		return err
	}
	err = server.Sites().AddDomain(ctx, sites.Domain{Name: signingDomain, Site: signingSite, Class: sites.Hosted})
	if err == nil {
		_, err = server.Sites().ImportDKIM(ctx, sites.DKIMPolicy{Domain: signingDomain}, signingSelector, text)
	}
	if err = errors.Join(err, server.Close()); err != nil {
		return err
	}
	f, err := sqlitedb.Own(database)
	if err != nil {
		return err
	}
	db, err := f.Writer(ctx)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `UPDATE panelmail_dkim SET state = 'signing', next = ?`, time.Now().Add(24*time.Hour).UnixMicro())
	return errors.Join(err, db.Close())
}

// withOpenDKIM is Debian's Postfix with Debian's OpenDKIM as its milter. What OpenDKIM
// cannot sign Postfix does not take.
func withOpenDKIM(name string, main []string) target {
	return target{name: name, start: func(ctx context.Context, s scene) (running, error) {
		m, err := startOpenDKIM(ctx, s.dir)
		if err != nil {
			return running{}, err
		}
		main := append(main[:len(main):len(main)], "smtpd_milters = inet:"+m.Addr, "milter_default_action = tempfail")
		r, err := postfix(name, main).start(ctx, s)
		if err != nil {
			return r, errors.Join(err, m.Stop())
		}
		stop := r.stop
		r.stop = func() error { return errors.Join(stop(), m.Stop()) }
		r.pids = append(r.pids, m.PID())
		return r, nil
	}}
}

// startOpenDKIM runs OpenDKIM as a signer and returns when it can be connected to.
func startOpenDKIM(ctx context.Context, dir string) (*interop.Process, error) {
	file, err := signingKey(dir)
	if err != nil {
		return nil, err
	}
	addr, err := interop.FreeAddr()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "opendkim.conf")
	text := fmt.Sprintf("Mode s\nDomain %s\nSelector %s\nKeyFile %s\nSocket inet:%s@127.0.0.1\nPidFile %s\n"+
		"Canonicalization relaxed/relaxed\nSignatureAlgorithm rsa-sha256\nOversignHeaders From\nSyslog no\nBackground no\nRequireSafeKeys no\n",
		signingDomain, signingSelector, file, port, filepath.Join(dir, "opendkim.pid"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p := &interop.Process{Path: "/usr/sbin/opendkim", Args: []string{"-f", "-x", config}, Addr: addr, File: filepath.Join(dir, "opendkim.log")}
	return p, p.StartSilent(ctx)
}

// signingWorkload is P7.
func signingWorkload(b *bench) workload {
	w := workload{
		Name: "P7", Text: "P2 with signatures by RSA-2048, by OpenDKIM at Postfix; what arrives unsigned is lost",
		Messages: 5_000, Sessions: 50, Size: 4 * kib, Destinations: 1, Signed: true,
		goals: []goal{
			{figure: endRate, relative: true, atLeast: true, value: 3},
			{figure: lost, value: 0},
		},
	}
	for _, t := range []target{withOpenDKIM("postfix", nil), withOpenDKIM("postfix-tuned", tuned()), signed(b)} {
		w.cases = append(w.cases, t.scenario())
	}
	return w
}
