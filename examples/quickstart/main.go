// Quickstart is the program of the module's front page: a server with a queue on
// disk, one listener, and one message of the panel's own.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"

	"github.com/panelmail/panelmail/mailcore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	srv, err := mailcore.Open(ctx, "panelmail-data/panelmail.db", mailcore.Config{Hostname: "mail.panel.example"})
	if err != nil {
		log.Fatal(err)
	}
	id, err := srv.Submit(ctx, mailcore.Message{
		ReversePath: "panel@panel.example",
		Recipients:  []string{"customer@shop.example"},
		Content:     strings.NewReader("Subject: Welcome\n\nYour site is ready.\n"),
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("queued as %s: on disk, and tried until it is delivered or bounces", id)
	l, err := net.Listen("tcp", "127.0.0.1:2587")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(srv.Run(ctx, mailcore.Listener{Kind: mailcore.Submission, Listener: l}))
}
