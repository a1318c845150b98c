package node

import (
	"context"
	"fmt"
	"net"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
)

const (
	maxConcurrentStreams = 256
	// maxDuration is how long any request may take: an RSA 4096 key takes tens of seconds at worst.
	maxDuration = time.Minute
	// drain is how long requests in flight may take when the node stops.
	drain = 10 * time.Second
)

// Serve serves the API on listener until ctx ends, and then lets requests in flight come to an end.
func (n *Node) Serve(ctx context.Context, listener net.Listener) error {
	if _, err := n.TLS(); err != nil { // better now than at the first connection
		return err
	}
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(mtls.Server(n.TLS))),
		grpc.MaxRecvMsgSize(hsm.MaxMessage), grpc.MaxSendMsgSize(hsm.MaxMessage), grpc.MaxConcurrentStreams(maxConcurrentStreams),
		grpc.ConnectionTimeout(10*time.Second), grpc.MaxHeaderListSize(16<<10), grpc.NumStreamWorkers(8),
		// A connection ends after a while, so that a certificate that expired or lost its authority does not go on for ever.
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: time.Hour, MaxConnectionAgeGrace: maxDuration, Time: time.Minute}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(n.intercept),
	)
	hsmpb.RegisterNodeServer(server, n)
	stopped := make(chan struct{})
	defer func() { <-stopped }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(stopped)
		<-ctx.Done()
		hard := time.AfterFunc(drain, server.Stop)
		defer hard.Stop()
		server.GracefulStop()
	}()
	if err := server.Serve(listener); err != nil {
		return fmt.Errorf("serving %s: %w", listener.Addr(), err)
	}
	return nil
}

// intercept is around every request: who asks, whether they may, and for how long.
func (n *Node) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	operation := path.Base(info.FullMethod)
	role, name, err := n.caller(ctx)
	if err == nil {
		err = permit(role, operation)
	}
	if err != nil {
		n.Logger.Warn("refused", "operation", operation, "name", name, "err", err)
		return nil, hsmpb.ToStatus(err)
	}
	ctx, cancel := context.WithTimeout(ctx, maxDuration)
	defer cancel()
	answer, err := handler(ctx, request)
	if lifeCycle[operation] {
		n.Logger.Info("carried out", "operation", operation, "name", name, "reason", hsm.Reason(err))
	}
	return answer, hsmpb.ToStatus(err)
}

func (n *Node) caller(ctx context.Context) (mtls.Role, string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", "", hsm.ErrPermissionDenied
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return "", "", hsm.ErrPermissionDenied
	}
	return mtls.RoleOf(n.Cluster, info.State.PeerCertificates[0])
}

// lifeCycle are the operations that are logged whoever asks.
var lifeCycle = map[string]bool{"Initialize": true, "CreateDomainKey": true, "Join": true, "Clone": true, "Import": true}

// permit tells whether a role may call an operation.
func permit(role mtls.Role, operation string) error {
	if role == mtls.Operator || role == mtls.Node && operation == "Status" {
		return nil
	}
	return fmt.Errorf("%w: %s is for an operator, and this is a %s", hsm.ErrPermissionDenied, operation, role)
}
