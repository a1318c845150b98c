// Package rotation changes the passwords of a server's users without a moment at which no stored version of the secret logs in.
//
// A rotation has the four steps of AWS Secrets Manager. createSecret derives the next value and stores it under AWSPENDING;
// setSecret makes the server accept it; testSecret logs in with it; finishSecret moves AWSCURRENT to it. The order is what makes a
// crash harmless: the server never gets a password that is not stored. Each step may be repeated, for it asks the server first
// whether it is done.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
//
// The package knows nothing of Kubernetes, and nothing of how values are stored.
package rotation

// Step is one of the four steps, by AWS's name.
type Step string

// The steps, in their order.
const (
	StepCreate Step = "createSecret"
	StepSet    Step = "setSecret"
	StepTest   Step = "testSecret"
	StepFinish Step = "finishSecret"
)
