// Command federation fetches and serves SPIFFE bundles with go-spiffe, for tests of our bundle endpoint.
//
//	federation fetch-web    TRUST-DOMAIN URL CA-PEM
//	federation fetch-spiffe TRUST-DOMAIN URL ENDPOINT-ID BUNDLE-JSON
//	federation serve        TRUST-DOMAIN BUNDLE-JSON CHAIN-PEM KEY-PEM
//
// A fetch prints what was read as JSON; serve prints its port and goes on until its standard input ends.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 4 {
		return fmt.Errorf("too few arguments")
	}
	domain, err := spiffeid.TrustDomainFromString(args[1])
	if err != nil {
		return err
	}
	switch args[0] {
	case "fetch-web":
		pem, err := os.ReadFile(args[3])
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		return fetch(domain, args[2], federation.WithWebPKIRoots(roots))
	case "fetch-spiffe":
		id, err := spiffeid.FromString(args[3])
		if err != nil {
			return err
		}
		known, err := spiffebundle.Load(id.TrustDomain(), args[4])
		if err != nil {
			return err
		}
		return fetch(domain, args[2], federation.WithSPIFFEAuth(known, id))
	case "serve":
		return serve(domain, args[2], args[3], args[4])
	}
	return fmt.Errorf("no command %q", args[0])
}

func fetch(domain spiffeid.TrustDomain, url string, how federation.FetchOption) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	bundle, err := federation.FetchBundle(ctx, domain, url, how)
	if err != nil {
		return err
	}
	authorities, kids := []string{}, []string{}
	for _, one := range bundle.X509Authorities() {
		authorities = append(authorities, base64.StdEncoding.EncodeToString(one.Raw))
	}
	for kid := range bundle.JWTAuthorities() {
		kids = append(kids, kid)
	}
	sort.Strings(kids)
	sequence, _ := bundle.SequenceNumber()
	hint, _ := bundle.RefreshHint()
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"x509": authorities, "jwt": kids, "sequence": sequence, "hint": int(hint.Seconds()),
	})
}

func serve(domain spiffeid.TrustDomain, bundle, chain, key string) error {
	served, err := spiffebundle.Load(domain, bundle)
	if err != nil {
		return err
	}
	handler, err := federation.NewHandler(domain, served)
	if err != nil {
		return err
	}
	certificate, err := tls.LoadX509KeyPair(chain, key)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return server.ServeTLS(listener, "", "")
}
