//! The API through a client library that is not ours: every call it has for what the daemon serves.

use super::world::World;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, EventsOptionsBuilder, InspectContainerOptions,
    KillContainerOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptions, RenameContainerOptionsBuilder, RestartContainerOptionsBuilder, StartContainerOptions,
    StatsOptionsBuilder, StopContainerOptionsBuilder, TopOptionsBuilder, WaitContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt as _;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);
const SCRIPT: &str = "echo out; while :; do /bin/busybox sleep 0.1; done";

#[test]
fn root_a_client_library_is_served() {
    let mut world = World::new();
    world.service("a", &World::script("", SCRIPT, ""));
    world.init.boot();
    world.until_state("a", "ready");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let socket = world.socket();
    let docker = Docker::connect_with_unix(socket.to_str().unwrap(), 10, API_DEFAULT_VERSION).unwrap();
    let all = async {
        let docker = docker.negotiate_version().await.unwrap();
        look(&docker).await;
        run(&docker).await;
        change(&docker).await;
    };
    runtime.block_on(async { tokio::time::timeout(DEADLINE, all).await }).expect("every call ends");
}

async fn look(docker: &Docker) {
    assert_eq!(docker.ping().await.unwrap(), "OK");
    assert_eq!(docker.version().await.unwrap().api_version.as_deref(), Some("1.44"));
    assert_eq!(docker.info().await.unwrap().containers_running, Some(1));
    let all = ListContainersOptionsBuilder::new().all(true).build();
    let list = docker.list_containers(Some(all)).await.unwrap();
    assert_eq!(list[0].names.as_ref().unwrap(), &["/a"]);
    let inspect = docker.inspect_container("a", None::<InspectContainerOptions>).await.unwrap();
    assert_eq!(inspect.state.unwrap().running, Some(true));
    let images = docker.list_images(Some(ListImagesOptionsBuilder::new().build())).await.unwrap();
    let image = docker.inspect_image(&images[0].repo_tags[0]).await.unwrap();
    assert_eq!(image.id.as_ref(), Some(&images[0].id));
    assert_eq!(docker.image_history(&images[0].repo_tags[0]).await.unwrap().len(), 1);
    assert_eq!(docker.df(None).await.unwrap().images.unwrap().len(), 1);
    let top = docker.top_processes("a", Some(TopOptionsBuilder::new().build())).await.unwrap();
    assert_eq!(top.titles.unwrap()[0], "UID");
    let once = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
    let stats = docker.stats("a", Some(once)).next().await.unwrap().unwrap();
    assert!(stats.cpu_stats.unwrap().system_cpu_usage.unwrap() > 0);
    assert_eq!(docker.container_changes("a").await.unwrap().unwrap_or_default().len(), 0);
}

async fn run(docker: &Docker) {
    // Followed: the line may be on its way.
    let logs = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("1").follow(true).build();
    let line = docker.logs("a", Some(logs)).next().await.unwrap().unwrap();
    assert!(matches!(&line, LogOutput::StdOut { message } if &message[..] == b"out\n"), "{line:?}");
    let options = CreateExecOptions {
        cmd: Some(vec!["/bin/busybox", "sh", "-c", "echo executed; exit 5"]),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec("a", options).await.unwrap();
    let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec.id, None).await.unwrap() else {
        unreachable!("not detached")
    };
    assert_eq!(output.next().await.unwrap().unwrap().to_string(), "executed\n");
    while output.next().await.is_some() {}
    assert_eq!(docker.inspect_exec(&exec.id).await.unwrap().exit_code, Some(5));
    let path = DownloadFromContainerOptionsBuilder::new().path("/bin/busybox").build();
    let mut bytes = 0;
    let mut archive = docker.download_from_container("a", Some(path));
    while let Some(piece) = archive.next().await {
        bytes += piece.unwrap().len();
    }
    assert!(bytes > 100_000, "{bytes}");
    let mut exported = 0;
    let mut export = docker.export_container("a");
    while let Some(piece) = export.next().await {
        exported += piece.unwrap().len();
    }
    assert!(exported > bytes, "{exported}");
}

async fn change(docker: &Docker) {
    docker.pause_container("a").await.unwrap();
    docker.unpause_container("a").await.unwrap();
    // The library asks when its stream is first read, so what happened before must be kept.
    let mut events = docker.events(Some(EventsOptionsBuilder::new().since("1").build()));
    while events.next().await.unwrap().unwrap().action.as_deref() != Some("pause") {}
    assert_eq!(events.next().await.unwrap().unwrap().action.as_deref(), Some("unpause"));
    let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).build();
    let mut attached = docker.attach_container("a", Some(options)).await.unwrap();
    docker.restart_container("a", Some(RestartContainerOptionsBuilder::new().t(0).build())).await.unwrap();
    assert_eq!(attached.output.next().await.unwrap().unwrap().to_string(), "out\n");
    docker.stop_container("a", Some(StopContainerOptionsBuilder::new().t(0).build())).await.unwrap();
    let mut ended = docker.wait_container("a", Some(WaitContainerOptionsBuilder::new().build()));
    let error = ended.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::DockerContainerWaitError { code: 137, .. }), "{error:?}");
    docker.start_container("a", None::<StartContainerOptions>).await.unwrap();
    docker.kill_container("a", None::<KillContainerOptions>).await.unwrap();
    let error = docker.remove_container("a", None::<RemoveContainerOptions>).await.unwrap_err();
    assert!(error.to_string().contains("part of the OS"), "{error}");
    let options = RenameContainerOptionsBuilder::new().name("b").build();
    let error = docker.rename_container("a", options).await.unwrap_err();
    assert!(error.to_string().contains("keeps its name"), "{error}");
}
