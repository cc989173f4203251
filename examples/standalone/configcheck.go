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
		certificate, warning := a.checkCertificate()
		err = errors.Join(wrong, certificate, a.checkFiles())
		c.Warnings = append(c.Warnings, a.faults(warning)...)
	}
	c.Problems = append(c.Problems, a.faults(err)...)
	c.OK = len(c.Problems) == 0
	return c
}

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// checkCertificate looks at the certificate that was configured, if one was.
func (a *app) checkCertificate() (problem, warning error) {
	if a.settings.TLS.Certificate == "" || a.settings.TLS.Key == "" {
		return nil, nil
	}
	pair, err := a.loadCertificate()
	if err != nil {
		return err, nil
	}
	var problems, warnings []error
	now, leaf := time.Now(), pair.Leaf
	switch {
	case now.After(leaf.NotAfter):
		problems = append(problems, a.fault("tls.certificate", fmt.Errorf("it ended %v", leaf.NotAfter.Format(time.DateTime))))
	case now.Before(leaf.NotBefore):
		problems = append(problems, a.fault("tls.certificate", fmt.Errorf("it begins %v", leaf.NotBefore.Format(time.DateTime))))
	case leaf.NotAfter.Sub(now) < soon:
		warnings = append(warnings, a.fault("tls.certificate", fmt.Errorf("it ends %v", leaf.NotAfter.Format(time.DateTime))))
	}
	if err := leaf.VerifyHostname(a.settings.Hostname); err != nil {
		warnings = append(warnings, a.fault("tls.certificate", fmt.Errorf("it is not for %s", a.settings.Hostname)))
	}
	if info, err := os.Stat(a.settings.TLS.Key); err == nil && info.Mode().Perm()&0o004 != 0 {
		warnings = append(warnings, a.fault("tls.key", fmt.Errorf("%s can be read by everybody", a.settings.TLS.Key)))
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
