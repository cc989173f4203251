package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A checkup is the answer of config check. Warnings are about what works, but
// hardly as it was meant.
type checkup struct {
	File     string   `json:"file"`
	OK       bool     `json:"ok"`
	Problems []*fault `json:"problems"`
	Warnings []*fault `json:"warnings"`
}

// configCheck says what a server would be refused for, or would trip over, before
// it is started or reloaded.
func configCheck(ctx context.Context, a *app, args []string) error {
	if len(args) > 0 {
		return usagef("config check takes no arguments: %q", args)
	}
	c := a.checkup(ctx)
	if err := c.print(a); err != nil {
		return err
	}
	if !c.OK {
		return errNo
	}
	return nil
}

func (c *checkup) print(a *app) error {
	if a.json {
		return json.NewEncoder(a.stdout).Encode(c)
	}
	for _, f := range c.Problems {
		fmt.Fprintln(a.stdout, f)
	}
	for _, f := range c.Warnings {
		fmt.Fprintln(a.stdout, "warning:", f)
	}
	if !c.OK {
		return nil
	}
	_, err := fmt.Fprintf(a.stdout, "%s: ok\n", c.File)
	return err
}

func (a *app) checkup(ctx context.Context) *checkup {
	c := &checkup{File: a.configFile(), Problems: []*fault{}, Warnings: []*fault{}}
	err := a.broken
	if err == nil {
		config, wrong := a.library()
		if wrong == nil {
			wrong = relayTest(ctx, config)
		}
		certificate, warning := a.checkCertificates()
		err = errors.Join(wrong, certificate, a.checkFiles())
		c.Warnings = append(c.Warnings, a.faults(warning)...)
	}
	c.Problems = append(c.Problems, a.faults(err)...)
	c.OK = len(c.Problems) == 0
	return c
}

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// checkCertificates looks at the certificates that were configured, if any were.
func (a *app) checkCertificates() (problem, warning error) {
	if !a.ownCertificates() || (a.settings.TLS.Certificate == "") != (a.settings.TLS.Key == "") {
		return nil, nil
	}
	var problems, warnings []error
	for i, n := range a.certificates() {
		pair, err := n.read(a)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		now, leaf := time.Now(), pair.Leaf
		switch {
		case now.After(leaf.NotAfter):
			problems = append(problems, a.fault(n.setting, fmt.Errorf("%s ended %v", n.certificate, leaf.NotAfter.Format(time.DateTime))))
		case now.Before(leaf.NotBefore):
			problems = append(problems, a.fault(n.setting, fmt.Errorf("%s begins %v", n.certificate, leaf.NotBefore.Format(time.DateTime))))
		case leaf.NotAfter.Sub(now) < soon:
			warnings = append(warnings, a.fault(n.setting, fmt.Errorf("%s ends %v", n.certificate, leaf.NotAfter.Format(time.DateTime))))
		}
		if err := leaf.VerifyHostname(a.settings.Hostname); err != nil && i == 0 {
			warnings = append(warnings, a.fault(n.setting, fmt.Errorf("%s is not for %s", n.certificate, a.settings.Hostname)))
		}
		if info, err := os.Stat(n.key); err == nil && info.Mode().Perm()&0o004 != 0 {
			setting := n.setting
			if n.key != n.certificate {
				setting = "tls.key"
			}
			warnings = append(warnings, a.fault(setting, fmt.Errorf("%s can be read by everybody", n.key)))
		}
	}
	return errors.Join(problems...), errors.Join(warnings...)
}

// checkFiles looks at the places where the server would write.
func (a *app) checkFiles() error {
	var problems []error
	if name := a.settings.Log.File; name != "" {
		if info, err := os.Stat(filepath.Dir(name)); err != nil {
			problems = append(problems, a.fault("log.file", err))
		} else if !info.IsDir() {
			problems = append(problems, a.fault("log.file", fmt.Errorf("%s is no directory", filepath.Dir(name))))
		}
	}
	if _, err := os.Lstat(a.data); !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, a.ownData())
	}
	return errors.Join(problems...)
}
