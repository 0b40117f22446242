// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftSession.h"

#include "HAL/PlatformMisc.h"
#include "HAL/PlatformTime.h"
#include "Misc/EngineVersion.h"
#include "Misc/ScopeLock.h"
#include "RenderliftLog.h"
#include "RenderliftSettings.h"

#include <chrono>
#include <string>

namespace
{
	std::string Utf8(const FString& Text)
	{
		return std::string(TCHAR_TO_UTF8(*Text));
	}

	FString Told(const std::string& Text)
	{
		return FString(UTF8_TO_TCHAR(Text.c_str()));
	}

	FText Told(const renderlift::Error& Error)
	{
		return FText::FromString(Told(Error.what + (Error.fix.empty() ? "" : " " + Error.fix)));
	}

	// Keys stay out of config files, which are checked in.
	std::optional<renderlift::CurveKeys> KeysFromEnvironment()
	{
		const auto Read = [](const TCHAR* Name) { return Utf8(FPlatformMisc::GetEnvironmentVariable(Name)); };
		renderlift::CurveKeys Keys;
		Keys.public_key = Read(TEXT("RENDERLIFT_PUBLIC_KEY"));
		Keys.secret_key = Read(TEXT("RENDERLIFT_SECRET_KEY"));
		Keys.bridge_key = Read(TEXT("RENDERLIFT_BRIDGE_KEY"));
		return Keys.bridge_key.empty() ? std::nullopt : std::optional(Keys);
	}

	// RGB to the BGRA that Slate shows.
	void Widen(const std::vector<std::uint8_t>& Rgb, TArray<uint8>& Bgra)
	{
		const int32 Pixels = int32(Rgb.size() / 3);
		Bgra.SetNumUninitialized(Pixels * 4);
		for (int32 Index = 0; Index < Pixels; ++Index)
		{
			Bgra[Index * 4 + 0] = Rgb[Index * 3 + 2];
			Bgra[Index * 4 + 1] = Rgb[Index * 3 + 1];
			Bgra[Index * 4 + 2] = Rgb[Index * 3 + 0];
			Bgra[Index * 4 + 3] = 255;
		}
	}
}

FRenderliftSession::FRenderliftSession(
	std::unique_ptr<renderlift::Publisher> InPublisher, std::vector<renderlift::Channel> InDeclared)
	: Declared(std::move(InDeclared)), Publisher(std::move(InPublisher))
{
}

TSharedPtr<FRenderliftSession> FRenderliftSession::Open(const URenderliftSettings& Settings,
	const FRenderliftSource& Source, const std::vector<renderlift::Channel>& Channels, FText& OutProblem)
{
	renderlift::PublisherOptions Options;
	Options.endpoint = Utf8(Settings.Endpoint);
	Options.engine = "unreal";
	Options.engine_version = Utf8(FEngineVersion::Current().ToString());
	Options.mode = Source.Mode == ERenderliftMode::Capture ? renderlift::Mode::capture : renderlift::Mode::preview;
	Options.channels = Channels;
	Options.session = Utf8(Source.Session);
	Options.shared_memory = Settings.bShareMemory;
	Options.curve = KeysFromEnvironment();
	auto Opened = renderlift::Publisher::open(std::move(Options));
	if (!Opened)
	{
		OutProblem = Told(Opened.error());
		return nullptr;
	}
	return MakeShareable(new FRenderliftSession(std::move(Opened.value()), Channels));
}

bool FRenderliftSession::Publish(const renderlift::FrameView& Frame)
{
	const auto Done = Publisher->publish(Frame, std::chrono::milliseconds(0));
	if (Done || Done.error().kind == renderlift::ErrorKind::timeout)
	{
		return Done.ok();
	}
	const FText Why = Told(Done.error());
	UE_LOG(LogRenderlift, Error, TEXT("Frame %lld was not sent: %s"), int64(Frame.index), *Why.ToString());
	FScopeLock Lock(&FailureLock);
	LastFailure = Why;
	return true;
}

FText FRenderliftSession::Failure() const
{
	FScopeLock Lock(&FailureLock);
	return LastFailure;
}

bool FRenderliftSession::WantsFrame() const
{
	return Publisher->wants_frame("main");
}

void FRenderliftSession::SetNames(std::vector<renderlift::IdName> Names)
{
	const auto Done = Publisher->set_names(std::move(Names));
	if (!Done)
	{
		UE_LOG(LogRenderlift, Error, TEXT("The names of the ids were not sent: %s"), *Told(Done.error()).ToString());
	}
}

TOptional<FRenderliftPicture> FRenderliftSession::TakePicture()
{
	TOptional<FRenderliftPicture> Result;
	for (const renderlift::Picture& Picture : Publisher->poll_results())
	{
		Result.Emplace();
		Result->Index = Picture.index;
		Result->Size = FIntPoint(int32(Picture.width), int32(Picture.height));
		Widen(Picture.rgb, Result->Bgra);
		Result->LatencyMilliseconds = Picture.latency_ms;
		Result->ReceivedSeconds = FPlatformTime::Seconds();
	}
	return Result;
}

FRenderliftStatus FRenderliftSession::Status() const
{
	const renderlift::Stats Stats = Publisher->stats();
	FRenderliftStatus Result;
	Result.bConnected = Stats.connected;
	Result.bSharedMemory = Stats.shared_memory;
	Result.Bridge = Told(Stats.bridge);
	Result.Problem = Told(Stats.problem);
	Result.Fix = Told(Stats.fix);
	Result.Session = Told(Stats.session);
	for (const renderlift::Channel Channel : Stats.accepted)
	{
		const std::string Name(renderlift::channel_spec(Channel).name);
		Result.Channels += (Result.Channels.IsEmpty() ? TEXT("") : TEXT(", ")) + Told(Name);
	}
	Result.Published = Stats.published;
	Result.Dropped = Stats.dropped;
	Result.Acknowledged = Stats.acknowledged;
	Result.Unsettled = Stats.unsettled;
	Result.FramesPerSecond = Stats.published_per_s;
	Result.PicturesPerSecond = Stats.results_per_s;
	Result.LatencyMilliseconds = Stats.latency_ms;
	return Result;
}

bool FRenderliftSession::Close(double PatienceSeconds)
{
	return Publisher->close(std::chrono::milliseconds(int64(PatienceSeconds * 1000)));
}
