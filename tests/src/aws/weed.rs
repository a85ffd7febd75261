//! SeaweedFS, a real object store that speaks S3: conditional puts with one winner, signatures and checksums
//! checked.

use super::process::{Process, Start};
use super::{ACCESS_KEY, AwsEnv, SECRET_KEY, Service, aws_at, program};
use std::fs;
use std::net::TcpListener;
use tempfile::TempDir;

/// Master, volume, filer and S3, each with a second port for its gRPC.
const PORTS: usize = 8;

/// A running SeaweedFS with a fresh folder, of this test alone.
pub struct Weed {
    // Gone before the folder that holds its data.
    process: Option<Process>,
    ports: [u16; PORTS],
    _folder: TempDir,
}

impl Weed {
    /// Starts one. None where it is not installed, which was said.
    pub fn start() -> Option<Self> {
        let program = program("weed")?;
        Some(Process::start_somewhere("weed", || {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let ports = free_ports();
            let config = folder.path().join("s3.json");
            fs::write(&config, identities()).expect("a temporary folder can be written");
            let place = folder.path().display();
            let [master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc] = ports;
            let args = vec![
                "server".to_owned(),
                format!("-dir={place}"),
                "-ip=127.0.0.1".to_owned(),
                "-ip.bind=127.0.0.1".to_owned(),
                format!("-master.port={master}"),
                format!("-master.port.grpc={master_grpc}"),
                "-master.telemetry=false".to_owned(),
                "-master.volumeSizeLimitMB=256".to_owned(),
                format!("-volume.port={volume}"),
                format!("-volume.port.grpc={volume_grpc}"),
                "-volume.max=20".to_owned(),
                "-filer".to_owned(),
                format!("-filer.port={filer}"),
                format!("-filer.port.grpc={filer_grpc}"),
                format!("-filer.localSocket={place}/filer.sock"),
                "-s3".to_owned(),
                format!("-s3.port={s3}"),
                format!("-s3.port.grpc={s3_grpc}"),
                format!("-s3.config={}", config.display()),
                format!("-s3.localSocket={place}/s3.sock"),
                "-s3.port.iceberg=0".to_owned(),
                "-s3.port.lance=0".to_owned(),
            ];
            let ready = format!("http://127.0.0.1:{s3}/healthz");
            let env = Vec::new();
            let start = Start { program: &program, args, env, folder: folder.path(), ready };
            let process = Process::start(&start)?;
            Some(Self { process: Some(process), ports, _folder: folder })
        }))
    }

    /// Where its S3 is, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[6])
    }

    /// Adds it to an environment, as S3.
    pub fn env(&self, env: AwsEnv) -> AwsEnv {
        env.at(Service::S3, self.url())
    }

    /// A client of it. S3's way of naming the bucket in the host does not work with an address.
    pub async fn client(&self) -> aws_sdk_s3::Client {
        let aws = aws_at(&self.url()).await;
        let config = aws_sdk_s3::config::Builder::from(aws.config()).force_path_style(true).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Makes a bucket.
    pub async fn bucket(&self, name: &str) {
        let made = self.client().await.create_bucket().bucket(name).send().await;
        made.unwrap_or_else(|e| panic!("the bucket {name} cannot be made: {e:?}"));
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        drop(self.process.take());
        // Whatever it is told, it puts these into /tmp, and leaves them there when it is killed.
        for (role, port) in ["master", "volume", "filer", "s3"].iter().zip([1, 3, 5, 7]) {
            let socket = format!("/tmp/seaweedfs-{role}-grpc-{}.sock", self.ports[port]);
            fs::remove_file(socket).ok();
        }
    }
}

/// The one user, who may do everything.
fn identities() -> String {
    serde_json::json!({
        "identities": [{
            "name": "tests",
            "credentials": [{ "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }],
    })
    .to_string()
}

/// Ports that nobody listened on a moment ago, each another.
fn free_ports() -> [u16; PORTS] {
    let listeners: [TcpListener; PORTS] = std::array::from_fn(|_| {
        TcpListener::bind("127.0.0.1:0").expect("loopback has a free port")
    });
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}
