//! A group of workers: moto decides which instances there are, and each of them is one `feedfleet worker` of this
//! machine, with a metadata service of its own.

use super::{AwsEnv, Imds, Lifecycle, Moto, REGION, Service, aws_at};
use crate::{Fleet, Running};
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{
    InstancesDistribution, LaunchTemplate, LaunchTemplateOverrides, LaunchTemplateSpecification,
    MixedInstancesPolicy,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The group's name.
pub const GROUP: &str = "feedfleet-workers";
/// The hook that holds an instance until its worker has handed its work back; infra/ makes it under this name.
pub const HOOK: &str = "feedfleet-drain";

const TEMPLATE: &str = "feedfleet-worker";
/// Between looks at the group.
const LOOK: Duration = Duration::from_millis(200);
/// A process that has ended is waited for no longer than this.
const REAP: Duration = Duration::from_secs(10);

/// A group, and the processes that stand for its instances.
pub struct Group<'a> {
    runtime: &'a Runtime,
    fleet: &'a Fleet,
    lifecycle: &'a Lifecycle,
    env: AwsEnv,
    client: Client,
    machines: BTreeMap<String, Machine>,
    /// Most instances that there were at once.
    pub most: usize,
    /// Instances whose worker has ended, in order.
    pub ended: Vec<Ended>,
}

struct Machine {
    imds: Imds,
    worker: Running,
    is_leaving: bool,
}

/// An instance whose worker has ended.
#[derive(Debug)]
pub struct Ended {
    /// The instance.
    pub instance: String,
    /// How its worker ended.
    pub status: ExitStatus,
    /// Whether the group had let it go before that.
    pub was_let_go: bool,
    /// What its worker had logged.
    pub log: String,
}

impl<'a> Group<'a> {
    /// An empty group of up to `max` mixed spot instances, with its hook. `env`: what workers reach.
    pub fn create(
        runtime: &'a Runtime,
        moto: &Moto,
        lifecycle: &'a Lifecycle,
        fleet: &'a Fleet,
        env: AwsEnv,
        max: i32,
    ) -> Self {
        ec2(
            moto,
            &format!(
                "Action=CreateLaunchTemplate&Version=2016-11-15&LaunchTemplateName={TEMPLATE}&\
                 LaunchTemplateData.ImageId=ami-12c6146b&LaunchTemplateData.InstanceType=c7g.large"
            ),
        );
        let client = Client::new(runtime.block_on(aws_at(&moto.url())).config());
        runtime.block_on(async {
            let made = client.create_auto_scaling_group().auto_scaling_group_name(GROUP);
            let made = made.min_size(0).max_size(max).desired_capacity(0);
            let made =
                made.availability_zones(format!("{REGION}a")).mixed_instances_policy(mixed());
            made.send().await.expect("moto makes groups");
            let hook = client.put_lifecycle_hook().auto_scaling_group_name(GROUP);
            let hook = hook.lifecycle_hook_name(HOOK).heartbeat_timeout(300);
            let hook = hook.lifecycle_transition("autoscaling:EC2_INSTANCE_TERMINATING");
            hook.default_result("CONTINUE").send().await.expect("moto keeps hooks");
        });
        let (machines, ended) = (BTreeMap::new(), Vec::new());
        Self { runtime, fleet, lifecycle, env, client, machines, most: 0, ended }
    }

    /// Instances whose workers run.
    pub fn instances(&self) -> Vec<String> {
        self.machines.keys().cloned().collect()
    }

    /// The metadata service of an instance.
    ///
    /// # Panics
    ///
    /// When its worker has ended.
    pub fn imds(&self, instance: &str) -> &Imds {
        &self.machine(instance).imds
    }

    /// Kills an instance's worker.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn kill(&self, instance: &str) {
        self.machine(instance).worker.signal("KILL");
    }

    fn machine(&self, instance: &str) -> &Machine {
        self.machines.get(instance).unwrap_or_else(|| panic!("{instance} has ended"))
    }

    /// Does what EC2 does, until `check` is true.
    ///
    /// # Panics
    ///
    /// After `deadline`, naming `what` was waited for, with the logs of the workers.
    pub fn run_until(
        &mut self,
        deadline: Duration,
        what: &str,
        mut check: impl FnMut(&Self) -> bool,
    ) {
        let begun = Instant::now();
        loop {
            self.step();
            if check(self) {
                return;
            }
            if begun.elapsed() > deadline {
                let running = self.machines.values().map(|machine| machine.worker.stderr());
                let ended = self.ended.iter().map(|ended| format!("{ended:?}"));
                let logs: Vec<String> = running.chain(ended).collect();
                panic!("waited {deadline:?} in vain: {what}\n{}", logs.join("\n"));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn step(&mut self) {
        let present = self.present();
        self.most = self.most.max(present.len());
        for instance in &present {
            if !self.machines.contains_key(instance) {
                let machine = self.start(instance);
                self.machines.insert(instance.clone(), machine);
            }
        }
        for (instance, machine) in &mut self.machines {
            if !present.contains(instance) && !machine.is_leaving {
                // The group has let it go: the hook holds it, and its metadata say so.
                machine.is_leaving = true;
                self.lifecycle.hold(instance);
                machine.imds.target("Terminated");
            }
        }
        let is_over = |machine: &mut Machine| !machine.worker.is_running();
        let over: Vec<String> = self
            .machines
            .iter_mut()
            .filter_map(|(instance, machine)| is_over(machine).then(|| instance.clone()))
            .collect();
        for instance in over {
            if let Some(mut machine) = self.machines.remove(&instance) {
                let status = machine.worker.wait(REAP);
                if present.contains(&instance) {
                    self.terminate(&instance);
                }
                let log = machine.worker.stderr();
                self.ended.push(Ended { instance, status, was_let_go: machine.is_leaving, log });
            }
        }
    }

    /// The group's instances, as moto says.
    fn present(&self) -> BTreeSet<String> {
        let request = self.client.describe_auto_scaling_groups().auto_scaling_group_names(GROUP);
        let groups = self.runtime.block_on(request.send()).expect("moto describes groups");
        let instances = groups.auto_scaling_groups().iter().flat_map(|group| group.instances());
        instances.filter_map(|instance| instance.instance_id().map(str::to_owned)).collect()
    }

    fn start(&self, instance: &str) -> Machine {
        let imds = Imds::start(instance);
        let mut command = self.fleet.command(&["--log", "info", "worker"]);
        self.env.clone().at(Service::Metadata, imds.url()).set(&mut command);
        Machine { imds, worker: self.fleet.start(command), is_leaving: false }
    }

    /// An instance that has ended by itself is replaced.
    fn terminate(&self, instance: &str) {
        let request = self.client.terminate_instance_in_auto_scaling_group().instance_id(instance);
        let request = request.should_decrement_desired_capacity(false);
        if let Err(e) = self.runtime.block_on(request.send()) {
            // The group may have let it go a moment ago.
            assert!(!self.present().contains(instance), "moto terminates instances: {e:?}");
        }
    }
}

/// Two types of instances, all of them spot.
fn mixed() -> MixedInstancesPolicy {
    let template = LaunchTemplateSpecification::builder().launch_template_name(TEMPLATE);
    let override_of = |kind: &str| LaunchTemplateOverrides::builder().instance_type(kind).build();
    let template = LaunchTemplate::builder()
        .launch_template_specification(template.version("$Latest").build())
        .overrides(override_of("c7g.large"))
        .overrides(override_of("c7i.large"))
        .build();
    let distribution = InstancesDistribution::builder()
        .on_demand_base_capacity(0)
        .on_demand_percentage_above_base_capacity(0)
        .spot_allocation_strategy("capacity-optimized")
        .build();
    MixedInstancesPolicy::builder()
        .launch_template(template)
        .instances_distribution(distribution)
        .build()
}

/// A request of EC2's, for which no client is built here. moto looks at the name of the service in a signature, and
/// not at the signature.
fn ec2(moto: &Moto, form: &str) {
    let url = moto.url();
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("moto listens");
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20300101/{REGION}/ec2/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).expect("moto reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("moto answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
