package main

import (
	"net"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestTheServiceManagerIsToldOfStartReloadAndStop(t *testing.T) {
	r := &reloading{lab: newLab(t)}
	r.crt, r.key = filepath.Join(r.data, "x.crt"), filepath.Join(r.data, "x.key")
	r.certify("first.example")
	r.settings()
	name := filepath.Join(r.data, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	hears := func(want string) {
		t.Helper()
		if err := manager.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		said := make([]byte, 200)
		n, err := manager.Read(said)
		if err != nil || !regexp.MustCompile("^"+want+"$").Match(said[:n]) {
			t.Errorf("heard %q, %v; want %s", said[:n], err, want)
		}
	}
	r.served = r.lab.serve()
	hears("READY=1")
	r.hangup()
	hears(`RELOADING=1\nMONOTONIC_USEC=\d+`)
	hears("READY=1")
	r.served.end()
	hears("STOPPING=1")
}
