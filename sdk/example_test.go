package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"glimpse/protocol"
	"glimpse/sdk"
)

// An app that goes live for whoever starts it and stops at the press of a
// button.
func Example() {
	app, err := sdk.New(sdk.Config{
		Package: "com.example.live", APIKey: "…", Cloud: "http://localhost:8002",
		OnSession: func(ctx context.Context, s *sdk.Session) error {
			stream, err := s.StartManaged(ctx, sdk.ManagedOptions{Quality: "720p"})
			switch {
			case errors.Is(err, sdk.ErrCameraBusy):
				return s.ShowText(ctx, "❌ Camera is busy\n\nAnother stream is active")
			case err != nil:
				return err
			}
			if err := s.ShowText(ctx, "🟢 Stream Live!\n\n"+stream.URLs().Preview); err != nil {
				return err
			}
			for range s.Buttons(ctx) {
				return stream.Stop(ctx)
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close()
	log.Print(http.ListenAndServe("127.0.0.1:7010", app))
}

// The statuses of a stream end with its last one.
func ExampleStream_Statuses() {
	watch := func(ctx context.Context, stream *sdk.Stream) {
		for status, err := range stream.Statuses(ctx) {
			if err != nil {
				return
			}
			switch status.State {
			case protocol.StatusActive:
				fmt.Println("live:", status.URLs.HLS)
			case protocol.StatusError:
				fmt.Println("failed:", status.Err)
			}
		}
	}
	_ = watch
}
