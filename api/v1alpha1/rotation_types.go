package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecretRotation is a schedule as in AWS Secrets Manager, and what makes the new value good: with no rotator it is a generated value
// that nobody else needs to know of.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
//
// +kubebuilder:validation:XValidation:rule="!has(self.duration) || has(self.schedule)",message="a window needs the times at which it opens: set schedule, or remove duration",fieldPath=".duration"
// +kubebuilder:validation:XValidation:rule="has(self.schedule) || has(self.postgres) || has(self.mysql) || has(self.redis) || has(self.mongodb) || has(self.sqlserver) || has(self.function) || has(self.job)",message="schedule is when the value rotates, for example rate(30 days)",fieldPath=".schedule"
// +kubebuilder:validation:XValidation:rule="!has(self.duration) || !has(self.schedule) || !self.schedule.matches('^rate[(][0-9]{1,5} hours?[)]$') || !self.duration.matches('^[0-9]{1,2}h$') || int(self.duration.substring(0, self.duration.size() - 1)) <= int(self.schedule.substring(5, self.schedule.indexOf(' ')))",message="the window reaches the next one: make duration at most as long as the rate",fieldPath=".duration"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || has(self.postgres) || has(self.mysql) || has(self.redis) || has(self.mongodb) || has(self.sqlserver)",message="a strategy is for the users of a database: name its rotator, for example postgres",fieldPath=".strategy"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'AlternatingUsers' || !has(self.postgres) || has(self.postgres.adminSecretRef)",message="the second user is made and changed by an admin: set postgres.adminSecretRef",fieldPath=".postgres"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'AlternatingUsers' || !has(self.mysql) || has(self.mysql.adminSecretRef)",message="the second user is made and changed by an admin: set mysql.adminSecretRef",fieldPath=".mysql"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'AlternatingUsers' || !has(self.redis) || has(self.redis.adminSecretRef)",message="the second user is made and changed by an admin: set redis.adminSecretRef",fieldPath=".redis"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'AlternatingUsers' || !has(self.mongodb) || has(self.mongodb.adminSecretRef)",message="the second user is made and changed by an admin: set mongodb.adminSecretRef",fieldPath=".mongodb"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'AlternatingUsers' || !has(self.sqlserver) || has(self.sqlserver.adminSecretRef)",message="the second user is made and changed by an admin: set sqlserver.adminSecretRef",fieldPath=".sqlserver"
// +kubebuilder:validation:AtMostOneOf=postgres;mysql;redis;mongodb;sqlserver;function;job
type SecretRotation struct {
	// enabled is true when it is left out. While it is false nothing rotates, be it due or asked for, and a rotation in progress
	// rests; CancelRotateSecret sets it so. A first value is made in any case.
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CancelRotateSecret.html
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// schedule in UTC: rate(N hours), rate(N days), or cron(0 HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK *). Without it a rotator
	// rotates when it is asked to.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^rate[(]([1-9][0-9]{0,4} (hour|hours)|1 day|[1-9][0-9]{0,2} days)[)]$') || self.matches('^cron[(]0 +[0-9,*/-]+ +[A-Z0-9?,*/-]+ +[A-Z0-9,*/-]+ +[A-Z0-9L#?,*/-]+ +[*][)]$')",message="schedule is rate(N hours), rate(N days) or cron(0 HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK *), for example rate(30 days) or cron(0 4 ? * SUN *)"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^rate[(][0-9]{1,5} hours?[)]$') || (int(self.substring(5, self.indexOf(' '))) >= 4 && int(self.substring(5, self.indexOf(' '))) <= 23976)",message="a rate is from 4 hours to 999 days"
	Schedule string `json:"schedule,omitempty"`
	// duration of the window that opens at each scheduled time, as Nh: 1h to 24h. When it is left out the window lasts
	// for the rest of the UTC day, or one hour if the schedule is in hours.
	// +optional
	// +kubebuilder:validation:MaxLength=3
	// +kubebuilder:validation:XValidation:rule="self.matches('^([1-9]|1[0-9]|2[0-4])h$')",message="duration is a whole number of hours from 1h to 24h, for example 3h"
	Duration string `json:"duration,omitempty"`
	// strategy: SingleUser or AlternatingUsers. SingleUser when it is left out.
	// +optional
	Strategy RotationStrategy `json:"strategy,omitempty"`
	// postgres: the value is the credential of a PostgreSQL user, of version 10 or later.
	// +optional
	Postgres *DatabaseRotator `json:"postgres,omitempty"`
	// mysql: the value is the credential of a user of MySQL, of version 5.7 or later, or MariaDB, of version 10.4 or later.
	// +optional
	MySQL *DatabaseRotator `json:"mysql,omitempty"`
	// redis: the value is the credential of an ACL user of Redis, of version 6 or later, or Valkey.
	// +optional
	Redis *DatabaseRotator `json:"redis,omitempty"`
	// mongodb: the value is the credential of a user of MongoDB, of version 4.2 or later, of the database that dbname names, or of admin.
	// +optional
	MongoDB *DatabaseRotator `json:"mongodb,omitempty"`
	// sqlserver: the value is the credential of a login of Microsoft SQL Server, of version 2014 or later, or of a user of the contained database
	// that dbname names.
	// +optional
	SQLServer *DatabaseRotator `json:"sqlserver,omitempty"`
	// function: a rotation function as AWS Secrets Manager calls it makes the values and tells whoever needs to know them.
	// +optional
	Function *FunctionRotator `json:"function,omitempty"`
	// job: what a rotation function does, as a Kubernetes Job for each of the four steps.
	// +optional
	Job *JobRotator `json:"job,omitempty"`
}

// JobRotator rotates by Jobs, one for each step, made from a template that somebody else wrote who may make pods in the namespace: to
// write Secrets gives no right to that.
type JobRotator struct {
	// cronJobRef names a CronJob of this namespace, whose spec.jobTemplate the Jobs are made from. It is suspended, so that it runs at no
	// time of its own, and has the annotation strongroom.dev/rotation-job with the value "true", by which its author lets Secrets run it.
	// Its containers get the event of AWS's rotation functions in their environment: ROTATION_EVENT, as JSON, and its members
	// ROTATION_STEP, ROTATION_SECRET_ID, ROTATION_CLIENT_REQUEST_TOKEN and ROTATION_TOKEN.
	// +required
	CronJobRef LocalReference `json:"cronJobRef"`
}

// FunctionRotator rotates by a rotation function that was written for AWS Secrets Manager, in a container that speaks the API of AWS
// Lambda's runtime interface emulator, behind a Service of the secret's namespace.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
// https://docs.aws.amazon.com/lambda/latest/dg/images-test.html
type FunctionRotator struct {
	// serviceRef names the Service of this namespace. RotationLambdaARN names it as arn:aws:lambda:REGION:ACCOUNT:function:NAME, with
	// region and account of the secret.
	// +required
	ServiceRef ServiceReference `json:"serviceRef"`
	// port of the Service. 8080 when it is left out, where the emulator listens.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
	// tls has the function called by HTTPS, for the name NAME.NAMESPACE.svc. By HTTP when it is left out: what is sent is no secret.
	// +optional
	TLS *FunctionTLS `json:"tls,omitempty"`
}

// ServiceReference names a Service of the same namespace.
type ServiceReference struct {
	// name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="name is a Service's: lower-case letters, digits and dashes, a letter first, for example rotate-shop"
	Name string `json:"name"`
}

// FunctionTLS says which certificates of a rotation function are trusted.
type FunctionTLS struct {
	// caSecretRef names a key of a core Secret of this namespace that holds the authorities' certificates in PEM.
	// +required
	CASecretRef SecretKeyReference `json:"caSecretRef"`
}

// RotationStrategy says whose password a rotation changes.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html
// +kubebuilder:validation:Enum=SingleUser;AlternatingUsers
type RotationStrategy string

// The strategies.
const (
	// RotationSingleUser changes the password of the one user. New connections with the old one fail from then on, except in Redis,
	// where it stays good until the next rotation.
	RotationSingleUser RotationStrategy = "SingleUser"
	// RotationAlternatingUsers changes the password of the user that is not in use, USERNAME or USERNAME_clone, and then has
	// workloads use that one: the credential that they hold stays good until the next rotation.
	RotationAlternatingUsers RotationStrategy = "AlternatingUsers"
)

// DatabaseRotator rotates the user of a database server. The value is a JSON object as AWS's rotation functions expect it: host,
// username and password, and if need be port and dbname.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
type DatabaseRotator struct {
	// adminSecretRef names a Secret of this namespace and API group, with the same host and port, whose user may make users and
	// change their passwords. It makes the user when there is none, makes the second of alternating users, and heals a password that
	// no stored version has.
	// +optional
	AdminSecretRef *LocalReference `json:"adminSecretRef,omitempty"`
	// tls says how connections are protected. Mode verify-full and the system's authorities when it is left out.
	// +optional
	TLS *DatabaseTLS `json:"tls,omitempty"`
	// driftPolicy is what becomes of a password that the server takes no more, which is seen by a login every 4 to 8 hours: Heal, Report
	// or Ignore. Heal when it is left out.
	// +optional
	DriftPolicy DriftPolicy `json:"driftPolicy,omitempty"`
}

// DriftPolicy is what becomes of a version in force that does not log in between rotations.
// +kubebuilder:validation:Enum=Heal;Report;Ignore
type DriftPolicy string

// The policies.
const (
	// DriftHeal rotates at once if there is an admin and the version has logged in before.
	DriftHeal DriftPolicy = "Heal"
	// DriftReport says CredentialDrift in the condition RotationFailing, and changes nothing.
	DriftReport DriftPolicy = "Report"
	// DriftIgnore does not log in between rotations.
	DriftIgnore DriftPolicy = "Ignore"
)

// DatabaseTLSMode is the protection of a connection, in the words of PostgreSQL's sslmode.
// https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
// +kubebuilder:validation:Enum=disable;require;verify-ca;verify-full
type DatabaseTLSMode string

// The modes.
const (
	// DatabaseTLSDisable uses no TLS.
	DatabaseTLSDisable DatabaseTLSMode = "disable"
	// DatabaseTLSRequire encrypts, and trusts any certificate.
	DatabaseTLSRequire DatabaseTLSMode = "require"
	// DatabaseTLSVerifyCA trusts any certificate of the authorities.
	DatabaseTLSVerifyCA DatabaseTLSMode = "verify-ca"
	// DatabaseTLSVerifyFull also asks for the host's name.
	DatabaseTLSVerifyFull DatabaseTLSMode = "verify-full"
)

// DatabaseTLS is how connections to a database are protected.
type DatabaseTLS struct {
	// mode: disable, require, verify-ca or verify-full. verify-full when it is left out.
	// +optional
	Mode DatabaseTLSMode `json:"mode,omitempty"`
	// caSecretRef names a key of a core Secret of this namespace that holds the authorities' certificates in PEM. The system's when
	// it is left out.
	// +optional
	CASecretRef *SecretKeyReference `json:"caSecretRef,omitempty"`
}

// RotationStatus is a rotation in progress.
type RotationStatus struct {
	// versionId of the version that is brought in. It has AWSPENDING, and until createSecret has stored it is in no list of versions.
	// +required
	// +kubebuilder:validation:MinLength=32
	// +kubebuilder:validation:MaxLength=64
	VersionID string `json:"versionId"`
	// startedTime of the rotation.
	// +required
	StartedTime metav1.Time `json:"startedTime"`
	// step that is made or tried next, by AWS's name; empty while nothing has begun with it.
	// +optional
	// +kubebuilder:validation:Enum=createSecret;setSecret;testSecret;finishSecret
	Step string `json:"step,omitempty"`
	// attempts that failed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Attempts int32 `json:"attempts,omitempty"`
	// nextAttemptTime is when the step is tried again.
	// +optional
	NextAttemptTime *metav1.Time `json:"nextAttemptTime,omitempty"`
}

// RotationTestStatus is the last test of a rotator with the version in force: the step testSecret without the others, or a rotation, which is
// a test too. It is made when a rotator is new or another.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
type RotationTestStatus struct {
	// configuration is a digest of what spec.rotation says of the rotator that was tested. Empty when RotateSecret has asked for another test.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Configuration string `json:"configuration,omitempty"`
	// time of the test.
	// +required
	Time metav1.Time `json:"time"`
	// versionId of the version in force that it was made with.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	VersionID string `json:"versionId,omitempty"`
	// passedVersionId is the version in force at the last test that passed.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PassedVersionID string `json:"passedVersionId,omitempty"`
	// passedUser is a digest of the user, and its server, that logged in last, or whose rotation came to its end. An admin heals the password of this
	// user, and of one that spec.generate names, and of no other.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PassedUser string `json:"passedUser,omitempty"`
	// pendingVersionId of the copy of the version in force that has AWSPENDING for as long as a function or a Job tests with it.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PendingVersionID string `json:"pendingVersionId,omitempty"`
	// healedTime at which a password that was not the server's was last set afresh between rotations.
	// +optional
	HealedTime *metav1.Time `json:"healedTime,omitempty"`
	// attempts that failed since the last test that passed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Attempts int32 `json:"attempts,omitempty"`
}

// Rotator tells whether a rotation has more to do than to make a value.
func (r *SecretRotation) Rotator() bool { return r.Database() != nil || r.MakesVersions() }

// IsEnabled tells whether a secret that has a value rotates.
func (r *SecretRotation) IsEnabled() bool { return r != nil && (r.Enabled == nil || *r.Enabled) }

// ByFunction is the rotation function, nil if there is none.
func (r *SecretRotation) ByFunction() *FunctionRotator {
	if r == nil {
		return nil
	}
	return r.Function
}

// ByJob is the rotator that runs as Jobs, nil if there is none.
func (r *SecretRotation) ByJob() *JobRotator {
	if r == nil {
		return nil
	}
	return r.Job
}

// MakesVersions tells that what rotates writes the versions and moves the stages itself, through the API.
func (r *SecretRotation) MakesVersions() bool { return r.ByFunction() != nil || r.ByJob() != nil }

// Database is the rotator of a database, of whichever engine, nil if there is none.
func (r *SecretRotation) Database() *DatabaseRotator {
	switch {
	case r == nil:
		return nil
	case r.Postgres != nil:
		return r.Postgres
	case r.MySQL != nil:
		return r.MySQL
	case r.Redis != nil:
		return r.Redis
	case r.MongoDB != nil:
		return r.MongoDB
	}
	return r.SQLServer
}
