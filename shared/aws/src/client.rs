//! One client configuration for every service: credentials, region, time-outs, and no retries of the SDK's own.
